#!/usr/bin/env bash
# Run a script as a stranger to this machine: no name, no home, no network, a small /tmp, everything read-only but /mnt/out.
# container.sh PYTHON_HOME VENV PROJECT DATA OUT QUOTA_GROUP SCRIPT, in namespaces for mounts and network (unshare), as their
# root. Exit code 77: making it is not allowed here.
set -eu
python=$1 venv=$2 project=$3 data=$4 out=$5 group=$6 script=$7
not_here() { echo "not here: $*" >&2; exit 77; }

[ -z "$group" ] || echo $$ >"$group/cgroup.procs" || not_here "entering a group with a quota"
mount --make-rprivate / && mount -t tmpfs -o mode=755 tmpfs /mnt || not_here "mounting"
for name in python venv project data out; do
  mkdir "/mnt/$name"
  mount --bind "${!name}" "/mnt/$name" || not_here "mounting ${!name}"
  [ $name = out ] || mount -o remount,ro,bind "/mnt/$name" || not_here "mounting ${!name} read-only"
done
# The interpreter is looked for where it was installed, which may be the home of somebody else.
hidden=/tmp folder=$python
while [ "$folder" != / ]; do
  [ "$(stat -c %A "$folder" | cut -c 10)" = x ] || hidden="$hidden $folder"
  folder=$(dirname "$folder")
done
for folder in $hidden; do mount -t tmpfs -o size=64m,mode=1777 tmpfs "$folder" || not_here "mounting"; done
if [ ! -d "$python" ]; then mkdir -p "$python"; mount --bind /mnt/python "$python"; fi
ip link set lo up 2>/dev/null || true

cd /mnt/project
stranger=(setpriv --reuid 54321 --regid 54321 --clear-groups --inh-caps=-all)
[ "$(wc -l </proc/self/uid_map)$(awk '{ print $3; exit }' /proc/self/uid_map)" = 14294967295 ] ||
  stranger=(unshare --user --map-user=54321 --map-group=54321)  # of a user who has become root of a namespace only
exec "${stranger[@]}" env -i PATH=/usr/bin:/bin PYTHONPATH=/mnt/project/src PYTHONDONTWRITEBYTECODE=1 TERM=dumb LC_ALL=C \
  PY=/mnt/venv/bin/python bash -c "$script"
