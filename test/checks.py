"""What scripts that hold many things share: they go on after a failure, and count."""
import os
import subprocess
import sys

failures = 0
THOROUGH = os.environ.get("HECATON_THOROUGH") == "1"  # tools/check --thorough


def share(things, of, first=0):
    """Of many things that are alike one of `of`, spread evenly, from number `first` on; all of them where the run is thorough."""
    return list(things) if THOROUGH else list(things)[first % of :: of]


def share_sanitized(things, of, first=0):
    """So with sanitizers alone: the release run has all."""
    return share(things, of, first) if os.environ.get("HECATON_SANITIZED") else list(things)


def tools_from(folder):
    """Tools are called by their names alone."""
    os.environ["PATH"] = f"{os.path.abspath(folder)}{os.pathsep}{os.environ['PATH']}"


def target(mesh):
    """hecaton-compile's options for `mesh`, RxC or host, the backend that is the oracle."""
    return ["--backend=host"] if mesh == "host" else [f"--mesh={mesh}"]


def check(name, good, said=""):
    global failures
    if not good:
        failures += 1
        print(f"FAIL {name}\n{said}")


def run(*args, **more):
    return subprocess.run([str(a) for a in args], capture_output=True, text=True, **more)


def done(*args, **more):
    result = run(*args, **more)
    if result.returncode:
        raise SystemExit(f"{' '.join(map(str, args))}\nexit status {result.returncode}\n{result.stderr}")
    return result


def finish():
    print("failures:", failures)
    sys.exit(failures > 0)
