#!/bin/sh
# Runs a program and mails what it writes, for the entry point of a container:
#
#     ENTRYPOINT ["sh", "/container-logs.sh", "ops@example.com"]
#     CMD ["app"]
#
# The output goes to "docker logs" as before. When the container is stopped the
# program gets SIGTERM, its last words are mailed, and its status is ours.
to=$1
shift
status=$(mktemp) || exit
trap 'trap "" TERM; kill -TERM 0; wait' TERM
{ trap : TERM; "$@" 2>&1; echo $? >"$status"; } | sendmail --digest="${DIGEST:-15m}" --tee "$to" &
wait $!
code=$(cat "$status")
rm -f "$status"
exit "${code:-143}"
