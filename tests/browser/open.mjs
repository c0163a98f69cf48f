// The program of BROWSER: hands the page to the browser that runs already, as xdg-open does.
//   node open.mjs PORT FILE URL
// PORT is the browser's debugging port. FILE gets the URL, for the judge to read.

import { renameSync, writeFileSync } from "node:fs";

const [port, file, url] = process.argv.slice(2);
writeFileSync(`${file}.new`, url);
renameSync(`${file}.new`, file);
const answer = await fetch(`http://127.0.0.1:${port}/json/new?${encodeURIComponent(url)}`, { method: "PUT" });
process.exit(answer.ok ? 0 : 1);
