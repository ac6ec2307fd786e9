# Answers with cloud-init's result file, or with nothing when the boot is over and it never ran.
tries=0
until [ -e /run/cloud-init/result.json ]; do
  command -v cloud-init >/dev/null || exit 0
  [ ! -e /run/cloud-init/disabled ] || exit 0
  case $(systemctl is-system-running 2>/dev/null) in
    running | degraded) [ -e /run/cloud-init/result.json ] || exit 0 ;;
  esac
  tries=$((tries + 1))
  [ $tries -lt 20 ] || exit 75
  sleep 0.5
done
cat /run/cloud-init/result.json
