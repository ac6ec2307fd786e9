set -e
command -v apt-get > /dev/null || { echo "packages are only installed with apt, which this guest lacks" >&2; exit 1; }
export DEBIAN_FRONTEND=noninteractive NEEDRESTART_MODE=a NEEDRESTART_SUSPEND=1

apt() {
  apt-get -o DPkg::Lock::Timeout=300 -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold \
    -y --no-install-recommends "$@"
}

# The lock of the package lists has no time-out of its own. Lists that cannot be refreshed may still be good enough.
refresh() {
  for pause in 2 5 10 20 0; do
    apt-get -o DPkg::Lock::Timeout=300 -o APT::Update::Error-Mode=any update && return 0
    sleep $pause
  done
  echo "the package lists could not be refreshed" >&2
}

candidate() { apt-cache policy "$1" | sed -n 's/^ *Candidate: *\([^(].*\)/\1/p'; }

# The newest version of $1 that is $2 or begins with it.
version() {
  apt-cache madison "$1" | while read -r _ _ found _; do
    case $found in "$2") echo "$found"; break ;; esac
    case ${found#*:} in "$2" | "$2"[!0-9]*) echo "$found"; break ;; esac
  done
}

# An interrupted run of dpkg would fail every later one.
dpkg --configure -a || true
