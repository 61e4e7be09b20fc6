# Receives a file: $1 is its path, $2 its size, $3 its hash, which is printed on success.
#
# `head` stops at the size, because not every server passes on that the input has ended. `fail`
# deletes before it prints, because printing to a lost connection ends the script at once.
umask 077
part=$1.upload
fail() { rm -f "$part"; echo "$1; $2" >&2; exit 1; }
trap 'rm -f "$part"' EXIT
mkdir -p "${1%/*}" && rm -f "$part" || exit
free=$(df -P -B 1 "${1%/*}" | awk 'END {print $4}')
[ "$free" -ge "$2" ] || fail \
  "the volume data has $(numfmt --to=si "$free") free, the export takes $(numfmt --to=si "$2")" \
  "enlarge the claim data, or delete what is old there"
head -c "$2" > "$part" || exit
[ "$(wc -c < "$part")" -eq "$2" ] && echo "$3  $part" | sha256sum --check --status || fail \
  "what arrived is not what was sent" "try again"
mv "$part" "$1" && echo "$3"
