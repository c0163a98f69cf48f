// Logs in through a browser, case by case, and judges the pages that it ends on.
//   node judge.mjs CHROMIUM EXAMPLES PICTURES [--list] [--pictures DIR] [FILTER]
// EXAMPLES is the folder of the built examples. The last line is "browser: N passed, M failed".

import { spawn, spawnSync } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath, pathToFileURL } from "node:url";

import puppeteer from "puppeteer-core";

import { look } from "./look.mjs";

const PATIENCE = 20; // seconds for any one wait
const SCHEMES = ["light", "dark"];
const WINDOWS = [{ width: 1280, height: 800 }, { width: 360, height: 720 }];

const [chromium, examples, folder, ...rest] = process.argv.slice(2);
let [pictures, onlyList, filter] = [folder, false, /./];
for (let i = 0; i < rest.length; i++) {
  if (rest[i] === "--list") onlyList = true;
  else if (rest[i] === "--pictures") pictures = rest[++i];
  else if (rest[i].startsWith("-")) fail(`unknown option ${rest[i]}; see --help`);
  else filter = new RegExp(rest[i]);
}

function fail(text) {
  console.error(text);
  process.exit(2);
}

const form = ["--consent", "form"];
const CASES = [
  {
    name: "success", client: "oauth_client", server: form, click: "allow", outcome: "authorized",
    title: "You are logged in", says: "You may close this window and go back to the program.", strays: true,
  },
  {
    name: "denial", client: "oauth_client", server: form, click: "deny", outcome: "authorization_denied",
    title: "The login was declined", says: "The program was given no access to this server.",
  },
  {
    name: "error", client: "oauth_client", server: [...form, "--oddity", "token-type-other"], click: "allow",
    outcome: "token_type_unsupported", title: "The login failed", says: "token_type_unsupported",
  },
  {
    name: "server-error", client: "oauth_client", server: ["--consent", "error"], outcome: "authorization_denied",
    title: "The login failed", says: "authorization_denied",
  },
  {
    name: "untrusted", client: "oauth_client", server: [...form, "--oddity", "iss-other"], click: "allow",
    outcome: null, // it waits for a better answer
    title: "This answer cannot be trusted", says: "iss_mismatch",
  },
  ...["blocking_client", "async_std_client"].map((client) => ({
    name: `success ${client}`, client, server: form, click: "allow", outcome: "authorized",
    title: "You are logged in", says: "You may close this window and go back to the program.",
  })),
].map((login) => ({ ...login, run: () => logIn(login) }));

/** A process whose lines are kept. */
class Program {
  constructor(name, args, env = {}) {
    this.lines = [];
    this.child = spawn(join(examples, name), args, {
      env: { ...process.env, ...env }, stdio: ["ignore", "pipe", "pipe"],
    });
    this.ended = new Promise((done) => {
      this.child.on("close", done);
      this.child.on("error", done);
    });
    createInterface({ input: this.child.stdout }).on("line", (line) => this.lines.push(line));
    createInterface({ input: this.child.stderr }).on("line", (line) => this.lines.push(line));
  }

  line(pattern) {
    return until(`${pattern} of ${this.child.spawnfile}`, () => {
      for (const line of this.lines) {
        const found = line.match(pattern);
        if (found) return found[1];
      }
    });
  }

  async stop() {
    this.child.kill("SIGKILL");
    await this.ended;
  }
}

/** The first true value of a question that is asked again and again. */
async function until(what, ask) {
  for (let left = PATIENCE * 50; left > 0; left--) {
    const answer = await ask();
    if (answer) return answer;
    await sleep(20);
  }
  throw new Error(`waited in vain for ${what}`);
}

const work = mkdtempSync(join(tmpdir(), "browser-"));
process.on("exit", () => rmSync(work, { recursive: true, force: true }));
let browser;

// BROWSER knows no quotes, so its program lies where no folder has a space in its name.
const OPEN = join(work, "open.mjs");
copyFileSync(join(dirname(fileURLToPath(import.meta.url)), "open.mjs"), OPEN);

/** One login from the client's first request to its end. */
async function logIn({ name, client: program, server: options, click, outcome, title, says, strays }) {
  const asked = join(work, "asked");
  rmSync(asked, { force: true });
  const known = new Set(browser.targets());
  const server = new Program("mcp_oauth_server", ["--port", "0", ...options]);
  let client;
  try {
    const mcp = await server.line(/^MCP URL +(\S+)$/);
    const port = new URL(browser.wsEndpoint()).port;
    client = new Program(program, ["--json", mcp], { BROWSER: `node ${OPEN} ${port} ${asked}` });
    const url = new URL(await until("the authorization page", () => existsSync(asked) && readFileSync(asked, "utf8")));
    const target = await browser.waitForTarget((one) => one.type() === "page" && !known.has(one) && one.url() !== "about:blank");
    const page = await target.page();
    page.setDefaultTimeout(PATIENCE * 1000);
    const wrong = [];
    page.on("console", (message) => {
      // A page that is answered with 400 is one, and so is an icon that is not there.
      if (!message.text().startsWith("Failed to load resource")) wrong.push(`the browser says: ${message.text()}`);
    });
    const redirect = new URL(url.searchParams.get("redirect_uri"));
    if (click) {
      await page.waitForSelector(`button[value=${click}]`);
      if (strays) wrong.push(...(await stray(redirect)));
      await page.click(`button[value=${click}]`);
    }
    await until("the last page", () => page.url().startsWith(redirect.href) && page.evaluate(() => document.readyState === "complete"));
    wrong.push(...(await finished(page, { redirect, url, title, says, program })));
    wrong.push(...(await seen(page, name)));
    if (outcome) {
      const over = await Promise.race([client.ended.then(() => true), sleep(PATIENCE * 1000, false)]);
      if (!over) wrong.push("the client does not end");
      const end = JSON.parse(client.lines.findLast((line) => line.startsWith("{")) ?? "{}");
      const ended = end.code ?? end.outcome;
      if (ended !== outcome) wrong.push(`the client ended with ${ended}, not ${outcome}`);
      wrong.push(...(await spent(page, url)));
    } else if (client.child.exitCode !== null) {
      wrong.push("the client did not wait for a better answer");
    }
    await page.close();
    return wrong;
  } catch (error) {
    const said = [...server.lines.slice(-5), ...(client?.lines.slice(-5) ?? [])];
    throw new Error([error.message, ...said].join("\n    "));
  } finally {
    await client?.stop();
    await server.stop();
  }
}

/** The words of the last page, and what must not be among them. */
async function finished(page, { redirect, url, title, says, program }) {
  const wrong = [];
  const is = (what, found, wanted) => {
    if (found !== wanted) wrong.push(`${what} is ${JSON.stringify(found)}, not ${JSON.stringify(wanted)}`);
  };
  const shown = await page.evaluate(() => ({
    title: document.title,
    heading: document.querySelector("h1")?.innerText,
    text: document.body.innerText,
    source: document.documentElement.outerHTML,
    rows: Object.fromEntries([...document.querySelectorAll("dl > div")].map((row) => [...row.children].map((cell) => cell.innerText))),
    kept: document.cookie + JSON.stringify({ ...localStorage, ...sessionStorage }),
    loaded: performance.getEntriesByType("resource").map((entry) => entry.name),
    styled: getComputedStyle(document.querySelector("main")).borderTopWidth,
  }));
  is("the title", shown.title, title);
  is("the heading", shown.heading, title);
  if (!shown.text.includes(says)) wrong.push(`it does not say ${JSON.stringify(says)}`);
  is("the program", shown.rows.Program, program);
  is("the address", shown.rows["Served at"], redirect.host);
  is("the MCP server", shown.rows["MCP server"], "127.0.0.1");
  is("what is kept", shown.kept, "{}");
  is("what is loaded besides", shown.loaded.join(), "");
  is("the border, which the policy lets the style draw,", shown.styled, "1px");
  const back = new URL(page.url());
  const secrets = [...back.searchParams, ...url.searchParams].filter(([name]) => /^(code|state|code_challenge|error_description|client_id)$/.test(name));
  if (!secrets.some(([name]) => name === "state")) wrong.push("there was no state to look for");
  for (const [name, value] of secrets) {
    if (shown.source.includes(value)) wrong.push(`the page holds ${name}`);
  }
  for (const name of ["access_token", "refresh_token", "id_token"]) {
    if (back.href.includes(name)) wrong.push(`the address bar holds ${name}`);
  }
  return wrong;
}

/** The code and the state in the address bar are worth nothing any more: the port is closed, and the server takes the
 *  code from nobody. */
async function spent(page, url) {
  const wrong = [];
  const back = new URL(page.url());
  const again = await page.goto(back.href).then(() => "an answer", (error) => error.message);
  if (!again.includes("ERR_CONNECTION_REFUSED")) wrong.push(`the page can be loaded again: ${again}`);
  if (back.searchParams.has("code")) {
    const metadata = await (await fetch(new URL("/.well-known/oauth-authorization-server", url))).json();
    const body = new URLSearchParams({
      grant_type: "authorization_code", code: back.searchParams.get("code"), code_verifier: "v".repeat(43),
      client_id: url.searchParams.get("client_id"), redirect_uri: url.searchParams.get("redirect_uri"),
    });
    const answer = await fetch(metadata.token_endpoint, { method: "POST", body });
    const { error } = await answer.json();
    if (error !== "invalid_grant") wrong.push(`the code in the address bar gets ${answer.status} ${error}`);
  }
  return wrong;
}

/** Whatever else comes to the port while a login waits gets a page of its own, and ends nothing. */
async function stray(redirect) {
  const wrong = [];
  for (const [path, status, title, name] of [
    ["/", 404, "There is nothing here", "stray"],
    [`${redirect.pathname}?code=x&state=wrong`, 400, "This does not belong to a login that is waiting", "foreign"],
  ]) {
    const page = await browser.newPage();
    const answer = await page.goto(new URL(path, redirect).href);
    if (answer.status() !== status) wrong.push(`${path} is answered with ${answer.status()}`);
    if ((await page.title()) !== title) wrong.push(`${path} is called ${await page.title()}`);
    const text = await page.evaluate(() => document.body.innerText);
    if (!text.includes(redirect.host)) wrong.push(`${path} does not say where it is served`);
    wrong.push(...(await seen(page, name)));
    await page.close();
  }
  return wrong;
}

/** Looks at a page in each scheme and window, and takes pictures. */
async function seen(page, name) {
  const wrong = [];
  const grounds = new Set();
  for (const scheme of SCHEMES) {
    await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: scheme }]);
    for (const window of WINDOWS) {
      await page.setViewport(window);
      const found = await page.evaluate(look);
      grounds.add(found.ground);
      wrong.push(...found.wrong.map((text) => `${scheme} at ${window.width}: ${text}`));
      const path = join(pictures, `${name.replaceAll(" ", "-")}-${scheme}-${window.width}.png`);
      await page.screenshot({ path, fullPage: true });
    }
  }
  if (grounds.size !== SCHEMES.length) wrong.push("light and dark look alike");
  return wrong;
}

/** The pages that no login here ends on, from files. */
function pageCases() {
  const pages = join(work, "pages");
  const made = spawnSync(join(examples, "pages"), [pages], { encoding: "utf8" });
  if (made.status !== 0) fail(`the pages cannot be written: ${made.stderr}`);
  return readdirSync(pages).sort().map((file) => {
    const name = `page ${file.replace(".html", "")}`;
    const run = async () => {
      const page = await browser.newPage();
      await page.goto(pathToFileURL(join(pages, file)).href);
      const wrong = await seen(page, name);
      await page.close();
      return wrong;
    };
    return { name, run };
  });
}

let [passed, failed] = [0, 0];
try {
  const cases = [...CASES, ...pageCases()].filter(({ name }) => filter.test(name));
  if (onlyList) {
    cases.forEach(({ name }) => console.log(name));
    process.exit(0);
  }
  mkdirSync(pictures, { recursive: true });
  browser = await puppeteer.launch({
    executablePath: chromium,
    headless: true,
    userDataDir: join(work, "profile"),
    // Root has no sandbox, and a container's shared memory is small.
    args: [...(process.getuid?.() === 0 ? ["--no-sandbox"] : []), "--disable-dev-shm-usage"],
  });
  console.log(await browser.version());
  for (const { name, run } of cases) {
    const began = Date.now();
    const wrong = await run().catch((error) => [error.message]);
    console.log(`${wrong.length ? "FAILED" : "ok    "}  ${((Date.now() - began) / 1000).toFixed(1).padStart(5)} s  ${name}`);
    wrong.forEach((text) => console.log(`    ${text}`));
    wrong.length ? failed++ : passed++;
  }
  console.log(`pictures: ${pictures}`);
} finally {
  await browser?.close();
}
console.log(`browser: ${passed} passed, ${failed} failed`);
process.exit(failed === 0 && passed > 0 ? 0 : 1);
