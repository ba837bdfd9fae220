"""Jobs by Celery on the broker at AMQP_URL: late acknowledgements, a job for later, a worker that is killed in the middle
of a job, and remote control."""

import os
import signal
import subprocess
import sys
import time

from celery import Celery

URL = os.environ["AMQP_URL"]
HERE = os.path.dirname(os.path.abspath(__file__))

app = Celery("celery_jobs", broker=URL, backend="rpc://")
app.conf.update(
    task_acks_late=True,
    worker_prefetch_multiplier=1,
    broker_connection_retry_on_startup=True,
    worker_hijack_root_logger=False,
)


@app.task(name="add")
def add(a, b):
    return a + b


@app.task(name="slow")
def slow(mark):
    first = not os.path.exists(mark)
    open(mark, "w").close()
    if first:
        time.sleep(600)
    return "done"


def start(name):
    command = [sys.executable, "-m", "celery", "-A", "celery_jobs", "worker", "--pool", "threads", "-c", "2"]
    return subprocess.Popen(command + ["-l", "warning", "-n", name], cwd=HERE, stdout=subprocess.DEVNULL)


def main(folder):
    worker = start("one@test")
    try:
        results = [add.delay(n, n) for n in range(50)]
        assert [result.get(timeout=60) for result in results] == [2 * n for n in range(50)]

        asked = time.time()
        later = add.apply_async((1, 2), countdown=2)
        assert later.get(timeout=60) == 3 and time.time() - asked >= 1.9

        assert app.control.ping(timeout=10) == [{"one@test": {"ok": "pong"}}]
        assert "add" in app.control.inspect(timeout=10).registered()["one@test"]

        # The acknowledgement is late, so the job of a dead worker is somebody else's.
        mark = os.path.join(folder, "mark")
        job = slow.delay(mark)
        until = time.time() + 60
        while not os.path.exists(mark):
            assert time.time() < until, "the job was not begun"
            time.sleep(0.05)
        worker.send_signal(signal.SIGKILL)
        worker.wait()
        worker = start("two@test")
        assert job.get(timeout=60) == "done"
    finally:
        worker.terminate()
        worker.wait(60)


if __name__ == "__main__":
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        main(folder)
