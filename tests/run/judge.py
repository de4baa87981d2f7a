"""What the scripts of this folder share: run a unit test so that it leaves its
files in a folder, or skip."""
import contextlib
import os
import pathlib
import subprocess
import sys
import tempfile


def skip(reason):
    print(f"skip: {reason}")
    sys.exit(77)


@contextlib.contextmanager
def files_of(test):
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([test], check=True, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL,
                       env=dict(os.environ, SCENE_FOLDER=folder))
        yield pathlib.Path(folder)
