case $engine in
  *=*) ;;
  *)
    [ -z "$wanted" ] || {
      echo "there is no Docker $wanted; there are:" >&2
      for package in $engine; do apt-cache madison "$package" >&2; break; done
      exit 1
    }
    ;;
esac
# Confined containers need the parser, which is a mere recommendation.
! grep -qs Y /sys/module/apparmor/parameters/enabled || extra="$extra apparmor"
held=$(apt-mark showhold docker.io docker-cli docker-ce docker-ce-cli)
# shellcheck disable=SC2086
[ -z "$held" ] || apt-mark unhold $held
# shellcheck disable=SC2086
apt --allow-downgrades install $engine $compose $extra
# shellcheck disable=SC2086
[ -z "$wanted" ] || apt-mark hold $(for package in $engine; do echo "${package%%=*}"; done)
