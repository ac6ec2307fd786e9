#!/bin/bash
# janitor.sh RUN DEBIAN  starts the lab, and removes all of it when stdin ends or the lab dies
# janitor.sh --sweep RUN removes what an earlier lab left
# The lab dies with this process, and this process ends with the lab.
set -u

sweep() {
  local run=$1 left group device
  for _ in {1..100}; do
    left=
    while read -r group; do
      [ ! -d "$group" ] || find "$group" -depth -type d -exec rmdir {} \; 2>/dev/null
      [ ! -d "$group" ] || left=$group
    done < <(sort -u "$run/cgroups" 2>/dev/null)
    for device in $(losetup --noheadings --list --output NAME,BACK-FILE | awk -v run="$run/" 'index($2, run) == 1 { print $1 }'); do
      losetup --detach "$device"
    done
    # The list of control groups goes with the directory, so the directory goes last.
    if [ -z "$left" ] && rm -rf --one-file-system "$run" 2>/dev/null; then rm -f "$run.lock"; return; fi
    sleep 0.1
  done
}

if [ "$1" = --sweep ]; then sweep "$2"; exit; fi
run=$1
# Whoever can take this lock knows that the lab is gone.
exec 9>"$run.lock"
flock 9
setpriv --pdeathsig KILL unshare --mount --net --pid --fork --kill-child \
  bash "$run/lab.sh" "$run" "$2" </dev/null 3>&1 >"$run/lab.log" 2>&1 9>&- &
lab=$!
exec 3<&0 >/dev/null
{ read -r -u 3 _; kill -KILL "$lab"; } >/dev/null 2>&1 9>&- &
watch=$!
exec 3<&- </dev/null
wait "$lab"
kill -KILL "$watch" 2>/dev/null
sweep "$run"
