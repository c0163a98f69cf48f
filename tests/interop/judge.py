"""Runs the example clients against real servers, and real clients against the example server, and says what it saw.

    judge.py EXAMPLES SERVERS [--list] [FILTER]

EXAMPLES is the folder of the built examples, SERVERS that of the server scripts beside which Node finds its packages;
only cases whose name FILTER finds are run. The last line is "interop: N passed, M failed"; the status is 0 only if M is 0 and something ran.
"""

import contextlib
import itertools
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

EXAMPLES, SERVERS = Path(sys.argv[1]), Path(sys.argv[2])
PROGRAM = Path(os.environ.get("INTEROP_PROGRAM") or EXAMPLES.parent / "mcp-authz")
LIST = "--list" in sys.argv[3:]
FILTER = re.compile("|".join(word for word in sys.argv[3:] if word != "--list"))
HERE = Path(__file__).resolve().parent
WORK = Path(tempfile.mkdtemp(prefix="interop-"))
CLIENTS = ["oauth_client", "blocking_client", "async_std_client", "rmcp_client"]
LIFE = 3  # seconds of a short access token
PATIENCE = 120  # seconds for one run of a client


# Below those that the system gives to whoever asks for any: a port of theirs may be taken before the server has it.
PORTS = itertools.count(20000 + os.getpid() % 8000)
NEXT_PORT = threading.Lock()


def free_port() -> int:
    with NEXT_PORT:
        for port in PORTS:
            with contextlib.suppress(OSError), socket.socket() as probe:
                probe.bind(("127.0.0.1", port))
                return port
    raise RuntimeError("no port is free")


class Process:
    """A server, its output kept line by line."""

    def __init__(self, name: str, command: list, port: int) -> None:
        self.name, self.lines = name, []
        self.process = subprocess.Popen(
            [str(word) for word in command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "PYTHONWARNINGS": "ignore", "FASTMCP_CHECK_FOR_UPDATES": "off"},
        )
        self.heard = threading.Condition()
        threading.Thread(target=self._read, daemon=True).start()
        self._listens(port)

    def _read(self) -> None:
        for line in self.process.stdout:
            with self.heard:
                self.lines.append(line.rstrip())
                self.heard.notify_all()

    def _listens(self, port: int) -> None:
        for _ in range(600):
            if self.process.poll() is not None:
                break
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                return
            time.sleep(0.1)
        self.stop()
        raise RuntimeError(f"{self.name} does not serve:\n" + "\n".join(self.lines[-20:]))

    def wait_for(self, text: str, since: int = 0) -> bool:
        with self.heard:
            return self.heard.wait_for(lambda: any(text in line for line in self.lines[since:]), 10)

    def set(self, name: str, value: object) -> None:
        since = len(self.lines)
        self.process.stdin.write(f"{name} {value}\n")
        self.process.stdin.flush()
        if not self.wait_for(f"set {name} {value}", since):
            raise RuntimeError(f"{self.name} does not take {name} {value}")

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()

    def __enter__(self) -> "Process":
        return self

    def __exit__(self, *_) -> None:
        self.stop()


class Table:
    """What was seen, and which of it was wrong."""

    def __init__(self) -> None:
        self.rows, self.failed, self.lock = {}, [], threading.Lock()

    def put(self, row: tuple, column: str, seen: str, wrong: str = "") -> None:
        with self.lock:
            self.rows.setdefault(row, {})[column] = ("! " if wrong else "") + seen
            if wrong:
                self.failed.append(f"{' / '.join(row)} / {column}: {wrong}")

    def show(self) -> None:
        groups = {}
        for row, cells in self.rows.items():
            groups.setdefault(tuple(cells), []).append((*row, *cells.values()))
        for columns, rows in groups.items():
            width = len(rows[0]) - len(columns)
            lines = [("",) * width + columns, *rows]
            widths = [max(len(line[at]) for line in lines) for at in range(len(lines[0]))]
            print()
            for line in lines:
                print("  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip())

    def cells(self) -> int:
        return sum(len(cells) for cells in self.rows.values())


TABLE = Table()


def run(client: str, url: str, *options: str) -> dict:
    """One run of an example client; the last line it wrote."""
    person = [] if "--no-login" in options else ["--headless"]
    command = [EXAMPLES / client, *person, "--json", *options, url]
    try:
        done = subprocess.run(
            [str(word) for word in command], capture_output=True, text=True, timeout=PATIENCE, stdin=subprocess.DEVNULL
        )
    except subprocess.TimeoutExpired as late:
        said = (late.stdout or b"").decode(errors="replace")
        return {"outcome": "hangs", "said": said.splitlines()[-12:]}
    lines = done.stdout.splitlines()
    try:
        end = json.loads(lines[-1])
    except (IndexError, ValueError):
        end = {"outcome": f"status {done.returncode}", "text": done.stderr[-300:]}
    return {**end, "status": done.returncode, "said": lines[-14:]}


def figures(end: dict) -> str:
    """The outcome, or its code, and the counts that are not nothing."""
    names = {"logins": "L", "refreshes": "R", "token_requests": "T", "calls": "C", "failures": "F"}
    counts = [f"{end[name]}{letter}" for name, letter in names.items() if end.get(name)]
    outcome = end.get("code") or end.get("outcome", "?")
    return " ".join([outcome if outcome != "authorized" else "ok", *counts])


def judge(row: tuple, column: str, end: dict, **expected: object) -> bool:
    """Whether the end has these figures; a range is (least, most)."""
    wrong = []
    for name, want in expected.items():
        have = end.get(name)
        fits = want[0] <= (have if have is not None else -1) <= want[1] if isinstance(want, tuple) else have == want
        if not fits:
            wrong.append(f"{name} is {have}, not {want}")
    if wrong:
        wrong += [str(end.get("text") or end.get("error") or ""), *end.get("said", [])]
    TABLE.put(row, column, figures(end), "\n    ".join(part for part in wrong if part))
    return not wrong


GOOD = {"outcome": "authorized", "status": 0, "failures": 0}


class Person:
    """Somebody with the command-line program, a home and a browser of their own."""

    def __init__(self, row: tuple, url: str) -> None:
        self.row, self.url = row, url
        self.home = WORK / "homes" / re.sub(r"\W+", "-", " ".join(row))
        self.home.mkdir(parents=True)
        self.traces = 0

    def does(self, column: str, command: str, *words: str, status: int = 0, event: str, **expected: object) -> dict:
        """One command, its exit status, and the line of an event with its members."""
        person = {"HOME": str(self.home), "BROWSER": str(HERE / "browser.py"), "PATH": os.environ["PATH"]}
        self.traces += 1
        trace = self.home / f"{self.traces}.trace"
        line = [str(word) for word in [PROGRAM, "--json", "record", trace, "--", command, self.url, *words]]
        try:
            done = subprocess.run(line, capture_output=True, text=True, timeout=PATIENCE, stdin=subprocess.DEVNULL, env=person)
            ended, said = done.returncode, done.stdout + done.stderr
        except subprocess.TimeoutExpired:
            ended, said = "hangs", ""
        events = [json.loads(text) for text in said.splitlines() if text.startswith("{")]
        found = [one for one in events if one["event"] == event]
        wrong = "" if ended == status and found else f"status {ended}, no {event}"
        last = found[-1] if found else {}
        wrong = wrong or self.replays(trace, person, said)
        wrong = wrong or "".join(f"{name} is {last.get(name)}" for name in expected if last.get(name) != expected[name])
        TABLE.put(self.row, column, event if not wrong else str(ended), wrong and f"{wrong}\n{said[-1500:]}")
        return last


    def replays(self, trace: Path, person: dict, said: str) -> str:
        """What is wrong with the trace of a command: it must replay offline, and hold nothing that was real."""
        line = [str(word) for word in [PROGRAM, "--json", "replay", trace]]
        done = subprocess.run(line, capture_output=True, text=True, timeout=PATIENCE, env=person)
        if done.returncode:
            return f"its trace does not replay: {done.stdout[-300:]}"
        text = trace.read_text()
        # What the program has said of the login, and what it has kept.
        kept = [file.read_text(errors="replace") for file in self.home.rglob("*") if file.is_file() and file.suffix != ".trace"]
        real = set(re.findall(r'"(?:access_token|refresh_token|client_id|client_secret|login)": *"([^"]{8,})"', "".join([said, *kept])))
        leaks = [word for word in real if word in text]
        return f"its trace holds {len(leaks)} of {len(real)} secrets" if leaks else ""


# Our clients at real servers.


def steps(name: str, server: Process, url: str, revokes: bool) -> None:
    """All steps of all clients, each client with a store of its own; a step is begun by all at once."""
    stores = {client: WORK / name / client for client in CLIENTS}

    def each(column: str, *options: str, check=judge, **expected: object) -> None:
        def one(client: str) -> None:
            end = run(client, url, "--store", stores[client], *options)
            check((name, client), column, end, **{**GOOD, **expected})

        with ThreadPoolExecutor(len(CLIENTS)) as pool:
            list(pool.map(one, CLIENTS))

    person = Person((name, "mcp-authz"), url)
    each("first", logins=1, token_requests=1)
    person.does("first", "login", event="logged_in", saved=True)
    each("again", logins=0, token_requests=0)
    person.does("again", "login", event="already_logged_in")
    server.set("life", LIFE)
    each("refresh", "--refresh", logins=0, refreshes=1)
    person.does("refresh", "login", "--again", event="logged_in")
    time.sleep(LIFE + 1)
    each("expired", logins=0, refreshes=1, token_requests=1)
    person.does("expired", "tools", event="tool")
    # Twenty callers find a token that is over, and one of them renews it for all.
    server.set("life", 3600)
    time.sleep(LIFE + 1)
    each("200 calls", "--calls", "200", "--parallel", "20", logins=0, refreshes=1, calls=200)
    since = len(server.lines)
    each("log-out", "--log-out", logins=0)
    person.does("200 calls", "status", event="entry", needs_person=False)
    # Tokens that the server would not revoke are a failure, though nothing is kept.
    person.does("log-out", "logout", status=0 if revokes else 1, event="logged_out", removed=True)
    if revokes:
        heard = server.wait_for("revoked", since)
        TABLE.put((name, "server"), "log-out", "told" if heard else "untold", "" if heard else "no token was given back")
    each("no login", "--no-login", outcome="failed", status=1, code="reauthorization_required", failures=0)
    person.does("no login", "token", status=3, event="failed", code="reauthorization_required")
    # From here on there is nothing to refresh with: a token that is over means a login.
    server.set("life", LIFE)
    server.set("refresh", "off")
    each("no refresh", logins=1, token_requests=1)
    person.does("no refresh", "login", event="logged_in")
    time.sleep(LIFE + 1)
    each("over", logins=1, token_requests=1)
    person.does("over", "token", status=3, event="failed", code="reauthorization_required")


def python(script: str, *arguments: str, name: str, port: int) -> Process:
    return Process(name, [sys.executable, HERE / "servers" / script, port, *arguments], port)


def node(script: str, *arguments: object, name: str, port: int) -> Process:
    return Process(name, ["node", SERVERS / script, port, *arguments], port)


REAL = {
    "python-sdk form": lambda name, port: python("python_sdk.py", "form", name=name, port=port),
    "python-sdk auto": lambda name, port: python("python_sdk.py", "auto", name=name, port=port),
    "fastmcp": lambda name, port: python("fast_mcp.py", name=name, port=port),
    "typescript-sdk": lambda name, port: node("sdk_router.mjs", name=name, port=port),
    "oidc-provider": lambda name, port: node("oidc.mjs", free_port(), name=name, port=port),
}


def real(name: str) -> None:
    port = free_port()
    try:
        with REAL[name](name, port) as server:
            try:
                steps(name, server, f"http://127.0.0.1:{port}/mcp", revokes=name != "oidc-provider")
            finally:
                if any(line.startswith(name) for line in TABLE.failed):
                    print(f"--- {name}\n" + "\n".join(server.lines[-25:]), flush=True)
    except Exception as broken:
        TABLE.put((name, "server"), "runs", "no", str(broken))


# Our clients at our odd servers.

EXAMPLE_SERVER = EXAMPLES / "mcp_oauth_server"


def example_server(name: str, *options: str) -> tuple:
    port = free_port()
    return Process(name, [EXAMPLE_SERVER, "--port", port, *options], port), f"http://127.0.0.1:{port}/mcp"


def oddities() -> list:
    listed = subprocess.run([EXAMPLE_SERVER, "--oddity", "list"], capture_output=True, text=True, check=True)
    return [line.split(maxsplit=5)[:5] for line in listed.stdout.splitlines()]


ENDS = {
    "login": {**GOOD, "logins": 1},
    "renewed": {**GOOD, "logins": 0, "refreshes": 1},
    "held": {**GOOD, "logins": 0, "token_requests": 0},
    "open": {"outcome": "open", "status": 0, "logins": 0, "token_requests": 0},
    "stuck": {"outcome": "failed", "status": 1, "code": "person_stuck"},
}


def odd(name: str, first: str, again: str, later: str, life: str) -> None:
    server, url = example_server(name, "--oddity", name)

    def one(client: str) -> None:
        row, store = (f"oddity {name}", client), WORK / "odd" / name / client
        for column, end in (("first", first), ("then", again), ("later", later)):
            if end == "-":
                TABLE.put(row, column, "-")
                continue
            if column != "first" and int(life) < 60:
                time.sleep(int(life) + 1)
            expected = ENDS.get(end) or {"outcome": "failed", "status": 1, "code": end}
            judge(row, column, run(client, url, "--store", store), **expected)

    with server, ThreadPoolExecutor(len(CLIENTS)) as pool:
        list(pool.map(one, CLIENTS))


# Real clients at our server.

REVISIONS = ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25", "2026-07-28", "all"]
FOREIGN = {"python": REVISIONS, "typescript": [known for known in REVISIONS if known != "2026-07-28"]}  # what it speaks


def foreign(sdk: str, revision: str) -> None:
    options = ["--expires-in", LIFE] + (["--revision", revision] if revision != "all" else [])
    server, url = example_server(revision, *options)
    script = [sys.executable, HERE / "clients" / "python_sdk.py"] if sdk == "python" else ["node", SERVERS.parent / "clients" / "sdk.mjs"]
    with server:
        command = [str(word) for word in [*script, url, revision, LIFE + 1]]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
            status, said = done.returncode, (done.stdout + done.stderr)[-1500:]
        except subprocess.TimeoutExpired:
            status, said = "late", ""
        logins = sum(", authorization_code" in line for line in server.lines)
        refreshes = sum(", refresh_token" in line and line.split()[1] == "200" for line in server.lines)
        right = status == 0 and logins == 1 and refreshes >= 1
        wrong = "" if right else f"status {status}, {logins} logins, {refreshes} refreshes\n{said}"
        if wrong:
            wrong += "\n" + "\n".join(server.lines[-15:])
        TABLE.put((f"{sdk} client", revision), "lists, waits, lists", f"{logins}L {refreshes}R", wrong)


# Several processes at one grant whose tokens live for seconds.

CALLS, CALLERS, RUNS = 4000, 50, 10


def shared(number: int) -> None:
    server, url = example_server("shared", "--expires-in", LIFE)
    clients = [CLIENTS[:3], CLIENTS[:1] * 3][number % 2]
    row, store = ("three processes", f"run {number + 1}"), WORK / "shared" / str(number)
    each = -(-CALLS // len(clients))
    with server:
        judge(row, "login", run(clients[0], url, "--store", store), **GOOD, logins=1)

        # The token's life ends while all of them call.
        time.sleep(LIFE - 0.3)

        def one(at: int) -> dict:
            return run(clients[at], url, "--store", store, "--calls", each, "--parallel", CALLERS)

        with ThreadPoolExecutor(len(clients)) as pool:
            ends = list(pool.map(one, range(len(clients))))
        for at, end in enumerate(ends):
            judge(row, f"{at + 1}", end, **GOOD, logins=0, calls=each)
        logins = sum(", authorization_code" in line for line in server.lines)
        TABLE.put(row, "logins", str(logins), "" if logins == 1 else "a second login")
        renewed = sum(", refresh_token" in line and line.split()[1] == "200" for line in server.lines)
        TABLE.put(row, "renewals", str(renewed), "" if renewed else "no token ran out")


# The bridge, before every real server and under every real host.

HOSTS = {
    "python legacy": lambda script: [sys.executable, HERE / "hosts" / "python_stdio.py", script, "legacy"],
    "python auto": lambda script: [sys.executable, HERE / "hosts" / "python_stdio.py", script, "auto"],
    "typescript 1": lambda script: ["node", SERVERS.parent / "hosts" / "sdk_stdio.mjs", "1", script, "legacy"],
    "typescript 2 legacy": lambda script: ["node", SERVERS.parent / "hosts" / "sdk_stdio.mjs", "2", script, "legacy"],
    "typescript 2 auto": lambda script: ["node", SERVERS.parent / "hosts" / "sdk_stdio.mjs", "2", script, "auto"],
}
INSPECTOR = SERVERS.parent.parent / "node_modules" / ".bin" / "mcp-inspector"
BROWSER = str(HERE / "browser.py")


def bridge(store: Path, url: str, *options: str) -> list:
    return [PROGRAM, "bridge", "--store", store, *options, url]


def hosted(row: tuple, column: str, command: list) -> None:
    """One run of a host, which starts its bridge itself."""
    try:
        words = [str(word) for word in command]
        environment = {**os.environ, "BROWSER": BROWSER}
        done = subprocess.run(words, capture_output=True, text=True, timeout=PATIENCE, env=environment)
        wrong = "" if done.returncode == 0 else f"status {done.returncode}\n{(done.stdout + done.stderr)[-2500:]}"
    except subprocess.TimeoutExpired as late:
        wrong = "it hangs\n" + (late.stderr or b"").decode(errors="replace")[-1500:]
    TABLE.put(row, column, "no" if wrong else "ok", wrong)


def inspected(command: list, *words: str) -> list:
    return ["node", INSPECTOR, "--cli", *command, "-e", f"BROWSER={BROWSER}", *words]


def asked() -> None:
    """Hosts of both eras before a server of both: each asks, counts, waits, cancels and hears of a change."""
    port = free_port()
    with python("asking.py", name="asking", port=port) as server:
        for revision in ("any", "2025-11-25", "2026-07-28"):
            options = [] if revision == "any" else ["--protocol-version", revision]
            command = bridge(WORK / "bridge" / "asking", f"http://127.0.0.1:{port}/mcp", *options)
            for host, start in HOSTS.items():
                hosted((f"bridge asking {revision}", host), "works", [*start("asking"), *command])


def bridged(name: str) -> None:
    """Every host before a real server with a login, which is made once."""
    port = free_port()
    try:
        with REAL[name](name, port) as server:
            command = bridge(WORK / "bridge" / name, f"http://127.0.0.1:{port}/mcp")
            for host, start in HOSTS.items():
                hosted((f"bridge {name}", host), "works", [*start("tools"), *command])
            hosted((f"bridge {name}", "inspector"), "works", inspected(command, "--method", "tools/list"))
    except Exception as broken:
        TABLE.put((f"bridge {name}", "server"), "works", "no", str(broken))


def together() -> None:
    """Ten hosts at once, with nobody logged in, at a server whose tokens live for seconds."""
    server, url = example_server("together", "--expires-in", LIFE)
    starts = [*HOSTS.values()] * 2
    with server, ThreadPoolExecutor(len(starts)) as pool:
        command = bridge(WORK / "bridge" / "together", url)
        done = [
            pool.submit(hosted, ("ten bridges", str(at + 1)), "works", [*start("later"), *command])
            for at, start in enumerate(starts)
        ]
        for one in done:
            one.result()
        logins = sum(", authorization_code" in line for line in server.lines)
        TABLE.put(("ten bridges", "server"), "logins", f"{logins}L", "" if logins == 1 else "\n".join(server.lines[-30:]))


def main() -> int:
    cases = [(f"real {name}", real, (name,)) for name in REAL]
    cases += [(f"{sdk} client {revision}", foreign, (sdk, revision)) for sdk in FOREIGN for revision in FOREIGN[sdk]]
    cases += [(f"oddity {line[0]}", odd, tuple(line)) for line in oddities()]
    cases += [("bridge asking", asked, ()), ("bridge together", together, ())]
    cases += [(f"bridge {name}", bridged, (name,)) for name in REAL]
    alone = [(f"shared {number}", shared, (number,)) for number in range(RUNS)]
    pick = [[case for case in some if FILTER.search(case[0])] for some in (cases, alone)]
    if LIST:
        print("\n".join(case[0] for case in [*pick[0], *pick[1]]))
        return 0
    began = time.monotonic()
    with ThreadPoolExecutor(6) as pool:
        for case in [pool.submit(function, *arguments) for _, function, arguments in pick[0]]:
            case.result()
    middle = time.monotonic()
    for _, function, arguments in pick[1]:
        function(*arguments)
    TABLE.show()
    for wrong in TABLE.failed:
        print(f"\n! {wrong}")
    print(f"\n{middle - began:.0f} s, and {time.monotonic() - middle:.0f} s for the processes that share a store")
    print(f"interop: {TABLE.cells() - len(TABLE.failed)} passed, {len(TABLE.failed)} failed")
    shutil.rmtree(WORK, ignore_errors=True)
    return 0 if TABLE.cells() and not TABLE.failed else 1


sys.exit(main())
