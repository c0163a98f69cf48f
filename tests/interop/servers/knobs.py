"""What the judge can set at a running server: lines `life SECONDS` and `refresh on|off` on standard input."""

import sys
import threading


class Knobs:
    def __init__(self) -> None:
        self.life = 3600
        self.refresh = True
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        for line in sys.stdin:
            name, value = line.split()
            if name == "life":
                self.life = int(value)
            elif name == "refresh":
                self.refresh = value == "on"
            print(f"set {name} {value}", flush=True)
