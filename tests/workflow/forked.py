"""A `python` that is forked from a process which has imported the libraries of other projects.

Snakemake and torch take two seconds of CPU each to import, more than most plans, and most jobs of
the tests' studies. Nothing of this project is loaded before the fork, so each call has the code of
its own checkout. What is forked has processes of its own: it dies with its caller, but gets no
other signal.
"""

import atexit
import os
import shutil
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

_PARENT = """\
import contextlib, gc, importlib, json, os, runpy, select, signal, socket, sys
sys.executable, path, *libraries = sys.argv[1:]
for library in libraries:
    importlib.import_module(library)
gc.freeze()
signal.signal(signal.SIGINT, signal.SIG_IGN)
listening = socket.socket(socket.AF_UNIX)
listening.bind(path)
listening.listen(64)
print("ready", flush=True)
children = set()
while sys.stdin not in select.select([listening, sys.stdin], [], [])[0]:  # the tests' end
    children -= {child for child in children if os.waitpid(child, os.WNOHANG)[0]}
    call, _ = listening.accept()
    if waiting := os.fork():
        children.add(waiting)
        call.close()
        continue
    listening.close()
    text, streams, *_ = socket.recv_fds(call, 65536, 3)
    while not text.endswith(b"\\n"):
        text += call.recv(65536)
    ended, runs = os.pipe()
    if running := os.fork():
        os.close(runs)
        if call in select.select([call, ended], [], [])[0]:  # the caller was killed
            for kill in (os.kill, os.killpg):
                with contextlib.suppress(ProcessLookupError):
                    kill(running, signal.SIGKILL)
            os._exit(1)
        code = os.waitstatus_to_exitcode(os.waitpid(running, 0)[1])
        call.sendall(str(code if code >= 0 else 128 - code).encode())
        os._exit(0)
    os.setpgid(0, 0)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    call.close()
    os.close(ended)
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    folder, environment, sys.argv = json.loads(text)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.path[:0] = filter(None, environment.get("PYTHONPATH", "").split(os.pathsep))
    if sys.argv[0] == "-m":
        del sys.argv[0]
        sys.path.insert(0, folder)
        runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
    else:
        sys.path.insert(0, os.path.dirname(os.path.abspath(sys.argv[0])))
        runpy.run_path(sys.argv[0], run_name="__main__")
    break
"""
_PYTHON = """\
#!{executable} -IS
import json, os, socket, sys
executable, path = {executable!r}, {path!r}
if len(sys.argv) == 1 or sys.argv[1].startswith("-") and sys.argv[1] != "-m":
    os.execv(executable, [executable, *sys.argv[1:]])
with socket.socket(socket.AF_UNIX) as parent:
    parent.connect(path)
    text = (json.dumps([os.getcwd(), dict(os.environ), sys.argv[1:]]) + "\\n").encode()
    sent = socket.send_fds(parent, [text], [0, 1, 2])
    parent.sendall(text[sent:])
    sys.exit(int(parent.recv(16) or 1))
"""
LIBRARIES = (
    *("contourpy", "cv2", "imagecodecs", "isal.isal_zlib", "jinja2", "matplotlib.figure"),
    *("matplotlib.backends.backend_svg", "matplotlib.patheffects", "pandas", "polars"),
    *("pyarrow.dataset", "pyarrow.pandas_compat", "pyarrow.parquet", "pydantic.fields"),
    *("pydantic.main", "pydantic.type_adapter", "pydantic.types", "pydicom", "rocrate.rocrate"),
    *("safetensors.numpy", "safetensors.torch", "scipy.ndimage", "scipy.optimize"),
    *("scipy.special", "skimage.morphology", "smart_open", "snakemake.cli", "threadpoolctl"),
    *("tokenizers", "torch.utils.data", "torch.utils.flop_counter", "xxhash", "yaml"),
    *("zlib_ng.zlib_ng",),
)
"""What Snakemake and most jobs import."""


@cache
def python() -> str:
    """Path of the command, whose scripts and modules (-m) are forked; their jobs are, too.

    It has a process a worker of the tests, which ends with the worker.
    """
    folder = Path(tempfile.mkdtemp(prefix="forked-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    command, path = folder / "python", str(folder / "socket")
    command.write_text(_PYTHON.format(executable=sys.executable, path=path))
    command.chmod(0o755)
    parent = subprocess.Popen(
        [sys.executable, "-P", "-c", _PARENT, command, path, *LIBRARIES],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
    )
    assert parent.stdout is not None and parent.stdout.readline() == b"ready\n"
    atexit.register(parent.communicate)
    return str(command)


def snakemake(
    folder: Path, environment: dict[str, str], *options: str | Path
) -> "subprocess.CompletedProcess[str]":
    """Run `snakemake` in a folder to its end; its jobs call this `python`, too."""
    return subprocess.run(
        [python(), "-m", "snakemake", *options],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
