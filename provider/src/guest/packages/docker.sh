# Docker from its own repository, which is described by the file $list; $wanted as for the distribution's packages.
if grep -rqs --include='*.list' --include='*.sources' "$url" /etc/apt/sources.list.d &&
  ! grep -qs "$url" "$list"; then
  # Two descriptions of one repository with different keys stop apt altogether.
  echo "the repository is described by another file already; that one stays"
else
  mkdir -p -m 0755 /etc/apt/keyrings
  WRITE
fi
refresh
compose=docker-compose-plugin
engine=''
for package in docker-ce docker-ce-cli; do
  found=$(version $package "$wanted")
  [ -n "$wanted" ] && [ -n "$found" ] && package="$package=$found"
  engine="$engine $package"
done
extra='containerd.io docker-buildx-plugin ca-certificates'
