# Takes keys that were ours out of an account's authorized_keys and puts new ones in; what others added stays.
# Set before: user, work (a directory with the files gone and wanted).
home=$(getent passwd "$user" | cut -d : -f 6)
[ -n "$home" ] || { echo "the guest has no account $user" >&2; exit 1; }
directory=$home/.ssh
file=$directory/authorized_keys
group=$(id -gn "$user") || exit 1
[ -d "$directory" ] || install -d -m 700 -o "$user" -g "$group" "$directory" || exit 1
[ -e "$file" ] || : > "$file" || exit 1
(
  umask 077
  # grep says 1 where nothing is left.
  { grep -vxFf "$work/gone" "$file" || [ $? = 1 ]; } > "$file.pmoves-new" || exit 1
  [ ! -s "$file.pmoves-new" ] || [ -z "$(tail -c 1 "$file.pmoves-new")" ] || echo >> "$file.pmoves-new"
  grep -vxFf "$file.pmoves-new" "$work/wanted" >> "$file.pmoves-new" || [ $? = 1 ]
) || exit 1
chown "$user:$group" "$file.pmoves-new" && chmod 600 "$file.pmoves-new" && mv -f "$file.pmoves-new" "$file" || exit 1
