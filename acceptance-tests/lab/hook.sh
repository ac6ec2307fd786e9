#!/bin/sh
# hook.sh: called by LXC when a container has started and when it has ended.
case $LXC_HOOK_TYPE in
  start-host) echo up ;;
  post-stop) echo "$LXC_TARGET" ;;
esac > "${LXC_CONFIG_FILE%/*}/news"
# The failure keeps LXC from starting it again: whoever started it does, with what has changed.
[ "$LXC_TARGET" != reboot ]
