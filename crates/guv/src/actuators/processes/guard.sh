# Ends the process groups that are left when its standard input ends: SIGTERM, so many seconds, SIGKILL. Each line tells of
# one: "+ GROUP SECONDS" or "- GROUP".
left=" "
while read -r sign group grace; do
  case "$sign$left" in
    +*) left="$left$group:$grace " ;;
    -*" $group:"*)
      after="${left#* "$group":}"
      left="${left%% "$group":*} ${after#* }"
      ;;
  esac
done
for one in $left; do kill -s TERM -- "-${one%:*}" 2>/dev/null; done
fifths=0
while :; do
  waiting=
  for one in $left; do
    group="${one%:*}"
    kill -s 0 -- "-$group" 2>/dev/null || continue
    if [ "$fifths" -lt $((${one#*:} * 5)) ]; then
      waiting="$waiting $one"
    else
      kill -s KILL -- "-$group" 2>/dev/null
    fi
  done
  left="$waiting"
  [ -z "$left" ] && exit
  sleep 0.2
  fifths=$((fifths + 1))
done
