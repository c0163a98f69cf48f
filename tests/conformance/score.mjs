// Runs the suite's scenarios one by one, a few at a time, and judges each by itself.
//   node score.mjs SUITE CLIENT [--all] [--list] [--keep DIR] [FILTER]
// The suite's own runs of many scenarios ignore time-outs and the client's exit status; its runs of one do not.

import { spawn } from "node:child_process";
import { mkdtempSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join, resolve } from "node:path";

const [suite, client, ...rest] = process.argv.slice(2);
const CLIENT_SECONDS = 20; // the suite's own limit is 30, and kills only the shell around the client
const EXTENSIONS_AT = ["2025-11-25", "2026-07-28"]; // they belong to no version, and must hold on both wires

let all = false;
let onlyList = false;
let keep;
let filter = /./;
for (let i = 0; i < rest.length; i++) {
  if (rest[i] === "--all") all = true;
  else if (rest[i] === "--list") onlyList = true;
  else if (rest[i] === "--keep") keep = rest[++i];
  else if (rest[i].startsWith("-")) fail(`unknown option ${rest[i]}; see --help`);
  else filter = new RegExp(rest[i]);
}

function fail(text) {
  console.error(text);
  process.exit(2);
}

/** Starts a program in its own process group, and ends the whole group when the time is up. */
function execute(program, args, seconds) {
  return new Promise((done) => {
    const child = spawn(program, args, { detached: true, stdio: ["ignore", "pipe", "pipe"] });
    const pieces = [];
    let late = false;
    const end = () => {
      try {
        process.kill(-child.pid, "SIGKILL");
      } catch {
        // already gone
      }
    };
    const timer = setTimeout(() => {
      late = true;
      end();
    }, seconds * 1000);
    child.stdout.on("data", (piece) => pieces.push(piece));
    child.stderr.on("data", (piece) => pieces.push(piece));
    const finish = (status) => {
      clearTimeout(timer);
      end();
      done({ status, late, text: Buffer.concat(pieces).toString() });
    };
    child.on("error", (error) => finish(String(error)));
    child.on("exit", (status) => setTimeout(() => finish(status), 50)); // what is still in the pipes
  });
}

/** Every authorization scenario at every version it is made for. */
async function runs() {
  const list = await execute(process.execPath, [suite, "list", "--client"], 60);
  const found = [];
  for (const [, scenario, tags] of list.text.matchAll(/^\s*-\s+(auth\/\S+)\s+\[([^\]]*)\]/gm)) {
    const extension = tags.trim() === "extension";
    if (extension && !all) continue;
    const versions = extension ? EXTENSIONS_AT : tags.split(",").map((tag) => tag.trim());
    for (const version of versions) found.push({ scenario, version });
  }
  if (found.length === 0) fail(`the suite lists no scenario:\n${list.text}`);
  const chosen = found.filter(({ scenario, version }) => filter.test(`${scenario}@${version}`));
  if (chosen.length === 0) fail(`nothing matches ${filter}`);
  return chosen.sort((a, b) =>
    `${a.version} ${a.scenario}`.localeCompare(`${b.version} ${b.scenario}`),
  );
}

function checksIn(folder) {
  const files = readdirSync(folder, { recursive: true }).filter((file) => file.endsWith("checks.json"));
  return files.flatMap((file) => JSON.parse(readFileSync(join(folder, file), "utf8")));
}

async function judge({ scenario, version }, folder) {
  mkdirSync(folder, { recursive: true });
  const command = `timeout --kill-after=2 ${CLIENT_SECONDS} ${client}`;
  const { status, late, text } = await execute(
    process.execPath,
    [suite, "client", "--scenario", scenario, "--spec-version", version, "--force"].concat([
      ...["--command", command, "--timeout", String((CLIENT_SECONDS + 5) * 1000), "-o", folder],
    ]),
    CLIENT_SECONDS + 20,
  );
  writeFileSync(join(folder, "log.txt"), text);
  const reasons = [];
  let checks = [];
  try {
    checks = checksIn(folder);
  } catch (error) {
    reasons.push(`unreadable checks: ${error.message}`);
  }
  if (!checks.some((check) => check.status === "SUCCESS")) reasons.push("no check succeeded");
  for (const check of checks) {
    if (check.status !== "FAILURE" && check.status !== "WARNING") continue;
    const why = check.errorMessage ?? check.description ?? "";
    reasons.push(`${check.id} (${check.status.toLowerCase()}): ${why}`);
  }
  if (late) reasons.push("the suite did not end");
  else if (status !== 0 && reasons.length === 0) {
    const exit = /exited with code (-?\d+)/i.exec(text)?.[1];
    reasons.push(exit === "124" ? "the client timed out" : `client status ${exit}, suite status ${status}`);
  }
  return { scenario, version, reasons: [...new Set(reasons)] };
}

const wanted = await runs();
if (onlyList) {
  for (const { scenario, version } of wanted) console.log(`${version}  ${scenario}`);
  console.log(`auth scenarios: ${wanted.length}`);
  process.exit(0);
}

const folder = keep ? resolve(keep) : mkdtempSync(join(tmpdir(), "conformance-"));
const place = ({ scenario, version }) => join(folder, version, scenario.replaceAll("/", "-"));
const verdicts = new Array(wanted.length);
let next = 0;
let printed = 0;
const jobs = Number(process.env.CONFORMANCE_JOBS) || availableParallelism();
await Promise.all(
  Array.from({ length: Math.min(jobs, wanted.length) }, async () => {
    while (next < wanted.length) {
      const mine = next++;
      rmSync(place(wanted[mine]), { recursive: true, force: true });
      verdicts[mine] = await judge(wanted[mine], place(wanted[mine]));
      // In order, as far as known.
      for (; verdicts[printed]; printed++) {
        const { scenario, version, reasons } = verdicts[printed];
        console.log(`${reasons.length === 0 ? "pass" : "FAIL"}  ${version}  ${scenario}`);
        for (const reason of reasons) console.log(`        ${reason}`);
        if (reasons.length > 0 && !keep) {
          const log = readFileSync(join(place(wanted[printed]), "log.txt"), "utf8");
          console.log(log.trim().split("\n").slice(-12).map((line) => `        | ${line}`).join("\n"));
        }
      }
    }
  }),
);
if (!keep) rmSync(folder, { recursive: true, force: true });

const passed = verdicts.filter(({ reasons }) => reasons.length === 0).length;
console.log(`auth scenarios: passed ${passed} of ${verdicts.length}`);
process.exit(passed === verdicts.length ? 0 : 1);
