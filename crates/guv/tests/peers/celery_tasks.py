"""Celery as an application uses it. `python celery_tasks.py URL QUEUE`; steps are read from standard input, each
answered by a line: `add N`, `priority N STEP`, `take N` (hold N tasks at work), `finish` (those)."""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import celery

URL, QUEUE = sys.argv[1:3] if __name__ == "__main__" else (None, None)

app = celery.Celery("guv", broker=URL)
app.conf.update(task_acks_late=True, worker_prefetch_multiplier=1, broker_connection_retry_on_startup=True)


@app.task(name="guv.work")
def work(gate):
    open(gate + f".{time.monotonic_ns()}.taken", "w").close()
    while not Path(gate + ".open").exists():
        time.sleep(0.02)


def add(count, **options):
    for _ in range(int(count)):
        work.apply_async(args=[GATE_NAME], queue=QUEUE, **options)


def take(count):
    global worker
    worker = subprocess.Popen(
        [sys.executable, "-m", "celery", "-A", "celery_tasks", "-b", URL, "worker", "-Q", QUEUE, "-P", "threads",
         "-c", count, "--without-gossip", "--without-mingle", "--without-heartbeat", "-l", "error"],
        cwd=Path(__file__).parent, stdout=sys.stderr)
    while len(list(Path(GATE_NAME).parent.glob(Path(GATE_NAME).name + ".*.taken"))) < int(count):
        if worker.poll() is not None:
            raise RuntimeError(f"the worker ended: {worker.returncode}")
        time.sleep(0.02)


def finish():
    Path(GATE_NAME + ".open").touch()
    worker.terminate()
    worker.wait()


STEPS = {"add": add, "priority": lambda count, step: add(count, priority=int(step)), "take": take, "finish": finish}

if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        GATE_NAME = str(Path(folder) / "gate")
        for line in sys.stdin:
            step, *rest = line.split()
            try:
                STEPS[step](*rest)
                print("done", flush=True)
            except Exception as error:
                print("failed:", repr(error), flush=True)
