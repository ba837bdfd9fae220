"""RQ as an application uses it. `python rq_jobs.py URL QUEUE`; steps are read from standard input, each answered by a
line: `add N`, `brief N` (that end by themselves), `schedule N SECONDS`, `take` (hold one job at work), `finish` (it)."""

import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path

import redis
import rq

GATE = "guv-test-gate"


def work(url):
    connection = redis.Redis.from_url(url)
    connection.set(GATE + ":taken", 1)
    while not connection.exists(GATE + ":open"):
        time.sleep(0.02)


def main(url, name):
    connection = redis.Redis.from_url(url)
    queue = rq.Queue(name, connection=connection)
    worker = None
    for line in sys.stdin:
        step, *rest = line.split()
        try:
            if step == "add":
                for _ in range(int(rest[0])):
                    queue.enqueue("rq_jobs.work", url)
            elif step == "brief":
                for _ in range(int(rest[0])):
                    queue.enqueue("time.sleep", 0.2)
            elif step == "schedule":
                for _ in range(int(rest[0])):
                    queue.enqueue_in(timedelta(seconds=int(rest[1])), "rq_jobs.work", url)
            elif step == "take":
                worker = subprocess.Popen(
                    [sys.executable, "-c", "import sys; from rq.cli import main; sys.exit(main())", "worker",
                     "--url", url, "--worker-class", "rq.SimpleWorker", "--quiet", name],
                    cwd=Path(__file__).parent, stdout=sys.stderr)
                while not connection.exists(GATE + ":taken"):
                    if worker.poll() is not None:
                        raise RuntimeError(f"the worker ended: {worker.returncode}")
                    time.sleep(0.02)
            elif step == "finish":
                worker.terminate()
                connection.set(GATE + ":open", 1)
                worker.wait()
            print("done", flush=True)
        except Exception as error:
            print("failed:", repr(error), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:3])
