# Ends the process groups that are left when its standard input ends. Each line tells of one: "+ GROUP" or "- GROUP".
left=" "
while read -r sign group; do
  case "$sign" in
    +) left="$left$group " ;;
    -) left="${left%% $group *} ${left#* $group }" ;;
  esac
done
signal() { for group in $left; do kill -s "$1" -- "-$group" 2>/dev/null; done; }
signal TERM
for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15; do
  alive=
  for group in $left; do kill -s 0 -- "-$group" 2>/dev/null && alive=1; done
  [ -z "$alive" ] && exit
  sleep 0.2
done
signal KILL
