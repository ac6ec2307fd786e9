umask 077
say() { printf "\036%s %s\036" "$N" "$1"; }
N=$0
D=$(mktemp -d -p /run 2>/dev/null || mktemp -d) || exit 9
trap "rm -rf $D" EXIT
trap "exit 9" HUP TERM
stty raw -echo min 0 time 50
say READY
while IFS= read -r line; do
case $line in
"") continue ;;
q) break ;;
"$N "*) ;;
*) say BUSY; continue ;;
esac
set -- $line
head -c "$2" > $D/b
if [ "$(sha256sum < $D/b)" != "$3  -" ]; then say BAD; break; fi
base64 -d < $D/b > $D/s
say GOT
sh $D/s < /dev/null > $D/o 2> $D/e
set -- $? $(wc -c < $D/o) $(wc -c < $D/e)
printf "\036%s DONE %s " "$N" "$*"
base64 < $D/o
printf " . "
base64 < $D/e
printf "\036"
rm -f $D/*
done
