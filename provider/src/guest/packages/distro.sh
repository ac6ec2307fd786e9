# Docker as the distribution packages it; $wanted is a version or the beginning of one, or empty.
refresh
if [ -n "$(candidate docker-compose-v2)" ]; then
  compose=docker-compose-v2
else
  compose=docker-compose
  found=$(candidate docker-compose)
  case ${found#*:} in
    '' | 0.* | 1.*) echo "this distribution has no Compose v2 (docker-compose ${found:-is absent}); use source = \"docker\"" >&2; exit 1 ;;
  esac
fi
engine=''
for package in docker.io docker-cli; do
  [ -n "$(candidate $package)" ] || continue
  found=$(version $package "$wanted")
  [ -n "$wanted" ] && [ -n "$found" ] && package="$package=$found"
  engine="$engine $package"
done
extra=''
for package in ca-certificates docker-buildx; do [ -z "$(candidate $package)" ] || extra="$extra $package"; done
