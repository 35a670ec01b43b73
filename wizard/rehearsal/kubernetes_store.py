"""containerd's store with every image unpacked: made once, and what each node's own begins as, by hard links.

Importing the images on each node would cost more than all that kubeadm does there.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from wizard.rehearsal.commands import run

# In a node's own tree, so that it is the containerd that nodes have.
SCRIPT = """\
apt-get -qq -y install --no-install-recommends containerd > /dev/null
echo 'I: unpacking images'
containerd --root /out/store --state /run/containerd 2> /tmp/log &
until ctr version > /dev/null 2>&1; do
  kill -0 $! || { cat /tmp/log >&2; exit 1; }
  sleep 0.1
done
for archive in /out/images/*.tar; do ctr --namespace k8s.io images import "$archive" > /dev/null; done
kill $!
wait
rm -r /out/store/io.containerd.grpc.v1.introspection # which containerd it is: each has its own
"""

DATABASES = "*/*.db"


def copy(store: Path, place: Path) -> None:
    """What containerd never changes again is shared: contents under their digests, and the layers below containers."""
    run(["cp", "--archive", "--link", str(store), str(place)])
    for database in place.glob(DATABASES):
        database.unlink()
        shutil.copy2(store / database.relative_to(place), database)
