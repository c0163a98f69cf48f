// Looks at a page from within and returns all that is wrong with how it is drawn. Runs in the browser, which gets its
// source: it uses nothing from outside.

export function look() {
  const wrong = [];
  const name = (element) => `<${element.localName}> "${element.textContent.trim().slice(0, 30)}"`;

  /** Red, green, blue and alpha of a computed colour, which Chromium always writes as rgb() or rgba(). */
  const colour = (text) => {
    const parts = text.match(/^rgba?\(([^)]*)\)$/)?.[1].split(/[ ,/]+/).map(Number);
    if (!parts) throw new Error(`the colour ${text} is unknown`);
    return parts.length === 3 ? [...parts, 1] : parts;
  };
  const over = ([r, g, b, a], ground) => [r, g, b].map((part, at) => part * a + ground[at] * (1 - a));
  const ground = (element) => {
    if (!element) return [255, 255, 255];
    const own = colour(getComputedStyle(element).backgroundColor);
    return own[3] === 1 ? own.slice(0, 3) : over(own, ground(element.parentElement));
  };
  const luminance = (parts) => {
    const [r, g, b] = parts.map((part) => {
      const value = part / 255;
      return value <= 0.03928 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const contrast = (one, other) => {
    const [dark, light] = [luminance(one), luminance(other)].sort((a, b) => a - b);
    return (light + 0.05) / (dark + 0.05);
  };
  const legible = (what, ink, behind, least) => {
    const ratio = contrast(ink, behind);
    if (ratio < least) wrong.push(`${what} has a contrast of ${ratio.toFixed(2)}, less than ${least}`);
    return ratio;
  };

  const root = document.documentElement;
  if (root.scrollWidth > innerWidth) wrong.push(`it is ${root.scrollWidth} wide in a window of ${innerWidth}`);
  for (const element of document.body.querySelectorAll("*")) {
    if (element.closest("svg")) continue;
    if (element.scrollWidth > element.clientWidth + 1 && getComputedStyle(element).display !== "inline") {
      wrong.push(`${name(element)} is cut off or sticks out`);
    }
  }

  // Every line of text, where it is drawn.
  let least = Infinity;
  let lines = 0;
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const text = texts.currentNode;
    const element = text.parentElement;
    if (!text.data.trim()) continue;
    const range = document.createRange();
    range.selectNodeContents(text);
    const card = element.closest("main")?.getBoundingClientRect() ?? root.getBoundingClientRect();
    for (const { left, right, top, bottom } of range.getClientRects()) {
      lines += 1;
      const inside = left >= Math.max(0, card.left) && right <= Math.min(innerWidth, card.right) + 0.5;
      if (!inside || top < card.top || bottom > card.bottom + 0.5) {
        wrong.push(`a line of ${name(element)} lies outside of its card`);
      }
    }
    const style = getComputedStyle(element);
    if (parseFloat(style.fontSize) < 12) wrong.push(`${name(element)} has letters of ${style.fontSize}`);
    const behind = ground(element);
    least = Math.min(least, legible(name(element), over(colour(style.color), behind), behind, 4.5));
  }
  if (lines === 0) wrong.push("there is no text on it");

  // The mark is no text: 3 is enough for it.
  const [mark, circle] = [document.querySelector("svg path"), document.querySelector("svg circle")];
  const [line, disc] = [mark && getComputedStyle(mark).stroke, circle && getComputedStyle(circle)];
  if (line && line !== "none" && disc) {
    const card = ground(mark.closest("main"));
    const [r, g, b] = colour(disc.fill);
    legible("the mark", colour(line).slice(0, 3), over([r, g, b, Number(disc.fillOpacity)], card), 3);
  } else {
    wrong.push("there is no mark on it");
  }
  return { wrong, least, ground: ground(document.querySelector("main")).join(" ") };
}
