# Becomes the program under test: launch.sh CWD STDIN STDOUT STDERR NOFILE
# [NAME=VALUE...] PROGRAM [ARGUMENT...]. Prints its process id first, which is
# then the program's.
#
# The program gets no descriptor of the specs but the three (an inherited socket
# would keep a closed connection open), no HOST and PORT, and dies with the
# specs even if these are killed. NOFILE limits its descriptors; "" leaves that.
main() {
  local fd
  echo $$
  cd "$1" || exit 127
  exec <"$2" >"$3" 2>"$4"
  for fd in /proc/self/fd/*; do
    fd=${fd##*/}
    ((fd > 2)) && exec {fd}>&-
  done
  [ -z "$5" ] || ulimit -n "$5"
  shift 5
  ulimit -c 0
  unset HOST PORT
  exec setpriv --pdeathsig KILL -- env -- "$@"
}
main "$@"
