"""Builds every program of the pages as a person would paste it, and runs each whole program.

    pages.py ROOT SERVER [--list] [FILTER]

ROOT is the working copy, SERVER the built example server; `tests/pages/run` says the rest.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import tomllib
from dataclasses import dataclass
from pathlib import Path

import person

ROOT, SERVER = Path(sys.argv[1]), Path(sys.argv[2])
LIST = "--list" in sys.argv[3:]
FILTER = re.compile("|".join(word for word in sys.argv[3:] if word != "--list"))
TARGET = Path(os.environ["CARGO_TARGET_DIR"])
PERSON = Path(person.__file__).resolve()
PAGES = ["README.md", "adapters/*/README.md", "adapters/*/src/guide.md", "adapters/*/src/guide/*.md"]
URL = "https://mcp.example/mcp"  # of every page
PATIENCE = 60  # seconds for one run of a program
NOT_RUN = re.compile(r"<!-- built, not run: \S.* -->")
AUTHORIZATION = re.compile(r"https?://\S*[?&]code_challenge=\S*")


class Wrong(Exception):
    """A finding, told as it is."""


@dataclass
class Case:
    """One block of Rust and what stands around it."""

    page: str
    line: int
    dependencies: str | None
    code: str
    language: str
    run: bool
    prints: str | None = None

    @property
    def name(self) -> str:
        return f"{self.page}:{self.line}"

    @property
    def crate(self) -> str:
        return re.sub(r"\W+", "-", f"page-{self.page.removesuffix('.md')}-{self.line}").lower()


def cases(page: Path) -> list[Case]:
    found, dependencies, last, lines = [], None, None, page.read_text().splitlines()
    at = 0
    while at < len(lines):
        fence = re.match(r"```(\S+)$", lines[at])
        if not fence:
            if lines[at].startswith("#"):
                last = None
            at += 1
            continue
        end = lines.index("```", at)
        text = "\n".join(lines[at + 1 : end]) + "\n"
        language = fence[1]
        if language == "toml" and "dependencies]" in text:
            dependencies = text
        elif language.split(",")[0] == "rust":
            above = next((line for line in reversed(lines[:at]) if line.strip()), "")
            last = Case(
                str(page.relative_to(ROOT)), at + 1, dependencies, text, language, not NOT_RUN.fullmatch(above)
            )
            found.append(last)
        elif language == "text" and last:
            last.prints, last = text, None
        at = end + 1
    return found


def patches(dependencies: str) -> str:
    """Leads from the published crates to the working copy: those that are named, and what they need."""
    ours = {}
    for manifest in [ROOT / "core/Cargo.toml", *ROOT.glob("adapters/*/Cargo.toml")]:
        read = tomllib.loads(manifest.read_text())
        ours[read["package"]["name"]] = manifest.parent, read.get("dependencies", {})
    read = tomllib.loads(dependencies)
    wanted = [name for table in ("dependencies", "dev-dependencies") for name in read.get(table, {})]
    needed = {}
    while wanted:
        name = wanted.pop()
        if name in ours and name not in needed:
            needed[name] = ours[name][0]
            wanted += ours[name][1]
    return "".join(f'{name} = {{ path = "{path}" }}\n' for name, path in sorted(needed.items()))


def check(case: Case) -> None:
    if set(case.language.split(",")) - {"rust", "no_run"}:
        raise Wrong(f"a block is `rust` or `rust,no_run`, not `{case.language}`")
    if re.search(r"^\s*#( |$)", case.code, re.MULTILINE):
        raise Wrong("it has hidden lines, which nobody can paste")
    if not case.dependencies:
        raise Wrong("no [dependencies] stand above it")


def cargo(case: Case, folder: Path, *words: str) -> str:
    environment = {**os.environ, "CARGO_PROFILE_DEV_DEBUG": "line-tables-only", "CARGO_TERM_COLOR": "never"}
    done = subprocess.run(["cargo", *words], cwd=folder, env=environment, capture_output=True, text=True)
    if done.returncode or "warning:" in done.stderr:
        raise Wrong(f"cargo {' '.join(words)}\n{done.stdout}{done.stderr}")
    return done.stdout


def write(case: Case, folder: Path, source: str, code: str) -> None:
    (folder / "src").mkdir(parents=True)
    manifest = f'[package]\nname = "{case.crate}"\nversion = "0.0.0"\nedition = "2024"\n\n{case.dependencies}'
    (folder / "Cargo.toml").write_text(f"{manifest}\n[workspace]\n\n[patch.crates-io]\n{patches(case.dependencies)}")
    shutil.copy(ROOT / "Cargo.lock", folder / "Cargo.lock")
    (folder / "src" / source).write_text(code)


def try_out(case: Case, folder: Path) -> str:
    """What was done with it."""
    check(case)
    if "#[test]" in case.code:
        write(case, folder, "lib.rs", case.code)
        cargo(case, folder, "test", "--quiet")
        return "tested"
    if not re.search(r"^(async )?fn main\(", case.code, re.MULTILINE):
        write(case, folder, "lib.rs", case.code)
        cargo(case, folder, "build", "--quiet")
        return "built"
    if not case.run:
        write(case, folder, "main.rs", case.code)
        cargo(case, folder, "build", "--quiet")
        return "built"
    if URL not in case.code:
        raise Wrong(f"it does not name {URL}, so it cannot be run here")
    with Server() as url:
        write(case, folder, "main.rs", case.code.replace(URL, url))
        cargo(case, folder, "build", "--quiet")
        printed = run(TARGET / "debug" / case.crate, folder).replace(url, URL)
    if case.prints is not None and printed != case.prints:
        raise Wrong(f"it prints\n{printed}and not\n{case.prints}")
    return "run"


class Server:
    """The example server, on a free port; its MCP URL while it is open."""

    def __enter__(self) -> str:
        self.process = subprocess.Popen([SERVER, "--port", "0"], stdout=subprocess.PIPE, text=True)
        for line in self.process.stdout:
            if line.startswith("MCP URL"):
                # Nobody reads the rest, and a full pipe would stop the server.
                threading.Thread(target=self.process.stdout.read, daemon=True).start()
                return line.split()[-1]
        raise Wrong("the server did not start")

    def __exit__(self, *_error) -> None:
        self.process.kill()
        self.process.wait()


def run(program: Path, folder: Path) -> str:
    """What a program prints, in a home of its own. An authorization URL among it is for the person, who pastes the
    address that the page sends them to."""
    home = folder / "home"
    home.mkdir()
    kept = {name: value for name, value in os.environ.items() if not re.match("XDG_|.*_proxy$", name, re.IGNORECASE)}
    process = subprocess.Popen(
        [program],
        cwd=folder,
        env={**kept, "HOME": str(home), "BROWSER": f"{sys.executable} {PERSON}"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    said = []
    threading.Thread(target=lambda: said.append(process.stderr.read()), daemon=True).start()
    late = threading.Timer(PATIENCE, process.kill)
    late.start()
    printed = ""
    for line in process.stdout:
        printed += line
        if page := AUTHORIZATION.search(line):
            process.stdin.write(person.sent_to(page[0]) + "\n")
            process.stdin.flush()
    status = process.wait()
    late.cancel()
    if status:
        raise Wrong(f"it ended with status {status}\n{printed}{''.join(said)}")
    return printed


def main() -> int:
    pages = [page for pattern in PAGES for page in sorted(ROOT.glob(pattern))]
    chosen = [case for page in pages for case in cases(page) if FILTER.search(case.name)]
    if LIST:
        print("\n".join(case.name for case in chosen))
        return 0
    failed = 0
    with tempfile.TemporaryDirectory(prefix="pages-") as fresh:
        for case in chosen:
            began = time.monotonic()
            try:
                done = try_out(case, Path(fresh) / case.crate)
            except Wrong as wrong:
                failed += 1
                done = f"FAILED: {wrong}"
            print(f"{case.name:<52} {time.monotonic() - began:5.1f} s  {done}", flush=True)
    print(f"pages: {len(chosen) - failed} passed, {failed} failed")
    return 0 if chosen and not failed else 1


if __name__ == "__main__":
    sys.exit(main())
