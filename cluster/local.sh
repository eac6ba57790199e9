#!/usr/bin/env bash
# A Ray head with its job server and an MLflow server on this machine, behind one token. See cluster/README.md.
set -euo pipefail

usage() {
    cat <<'HELP'
Usage: cluster/local.sh start [OPTIONS OF ray start] | stop | env

  start   start a Ray head (with dashboard and job server) and an MLflow server, and wait until both answer
  stop    stop these two, and no other Ray or MLflow
  env     print what a shell needs to use them: eval "$(cluster/local.sh env)"

Variables to set before start, stop and env, if the defaults don't fit:
  RAYSWEEP_CLUSTER         folder of token, database, artifacts, store and logs (~/.raysweep/cluster)
  RAYSWEEP_HOST            address on which dashboard and MLflow listen (127.0.0.1)
  RAYSWEEP_RAY_PORT        (6379)   where nodes and jobs find the head
  RAYSWEEP_DASHBOARD_PORT  (8265)   dashboard and job server
  RAYSWEEP_MLFLOW_PORT     (5000)   MLflow server
  RAYSWEEP_STORE           folder of all runs ($RAYSWEEP_CLUSTER/store); on several machines, a shared one
  RAY_AUTH_TOKEN_PATH      file of the token ($RAYSWEEP_CLUSTER/token); created if it doesn't exist
HELP
}

project=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
if [ -x "$project/.venv/bin/ray" ]; then
    PATH="$project/.venv/bin:$PATH"
fi
folder=$(realpath -m "${RAYSWEEP_CLUSTER:-$HOME/.raysweep/cluster}")
host=${RAYSWEEP_HOST:-127.0.0.1}
ray_port=${RAYSWEEP_RAY_PORT:-6379}
dashboard="http://$host:${RAYSWEEP_DASHBOARD_PORT:-8265}"
# Jobs inherit the head's environment, from which they get the store, MLflow and the token. Paths are absolute, since the
# working directory of a job is a temporary upload.
RAYSWEEP_STORE=$(realpath -m "${RAYSWEEP_STORE:-$folder/store}")
RAY_AUTH_TOKEN_PATH=$(realpath -m "${RAY_AUTH_TOKEN_PATH:-$folder/token}")
export RAYSWEEP_STORE RAY_AUTH_TOKEN_PATH
export MLFLOW_TRACKING_URI="http://$host:${RAYSWEEP_MLFLOW_PORT:-5000}"
export RAY_AUTH_MODE=token
unset RAY_AUTH_TOKEN  # it would take precedence over the file
if [[ "$host" =~ ^(127\.|localhost$) ]]; then
    # Else Ray takes this machine's outer address for the node's whatever --node-ip-address says, and listens on all.
    export RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER=0
fi

# pid_of NAME: the process of a pid file, if it is the very one that was started here. A number alone may be another
# process's by now, or anybody's: what it runs must name this folder, and it must have begun when the file says.
pid_of() {
    local pid began command own
    { read -r pid && read -r began; } 2>/dev/null <"$folder/$1.pid" || return 1
    [[ "$pid" =~ ^[0-9]+$ ]] && command=$(ps -ww -o args= -p "$pid") || return 1
    case $1 in
        ray) own="--temp-dir $(own_scratch) " || return 1 ;;
        mlflow) own="--backend-store-uri sqlite:///$folder/mlflow.db " ;;
    esac
    [[ "$command" == *"$own"* && "$(began_at "$pid")" == "$began" ]] && echo "$pid"
}

began_at() {
    LC_ALL=C ps -o lstart= -p "$1" | xargs
}

# remember NAME PID: write its pid file.
remember() {
    printf '%s\n%s\n' "$2" "$(began_at "$2")" >"$folder/$1.pid"
}

# Ray's scratch folder, if it is the one that was made here: it says for which folder.
own_scratch() {
    local scratch
    scratch=$(cat "$folder/scratch" 2>/dev/null) || return 1
    [[ "$scratch" =~ ^/tmp/raysweep-[A-Za-z0-9]{6}$ && -d "$scratch" && ! -L "$scratch" && -O "$scratch" ]] || return 1
    [ "$(cat "$scratch/made-for" 2>/dev/null)" = "$folder" ] && echo "$scratch"
}

answers() {
    python - "$@" 2>/dev/null <<'PYTHON'
import sys, urllib.request
headers = {"Authorization": f"Bearer {open(sys.argv[2]).read()}"} if len(sys.argv) > 2 else {}
request = urllib.request.Request(sys.argv[1], headers=headers)
urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=5)
PYTHON
}

# wait_for NAME ADDRESS [TOKEN FILE]: wait until the address answers, or fail with the end of the process's log.
wait_for() {
    local name=$1 deadline=$((SECONDS + 120))
    shift
    until answers "$@"; do
        if ! pid_of "$name" >/dev/null || [ "$SECONDS" -ge "$deadline" ]; then
            echo "$name doesn't answer at $1; the end of $folder/$name.log:" >&2
            tail -n 20 "$folder/$name.log" >&2
            stop >&2
            exit 1
        fi
        sleep 0.5
    done
}

start() {
    if pid_of ray >/dev/null || pid_of mlflow >/dev/null; then
        echo "already running in $folder; stop it first: cluster/local.sh stop" >&2
        exit 1
    fi
    (umask 077 && mkdir -p "$folder")
    mkdir -p "$RAYSWEEP_STORE"
    if [ ! -s "$RAY_AUTH_TOKEN_PATH" ]; then
        # As `ray get-auth-token --generate` makes it, in a file that only its owner can read.
        (umask 077 && python -c 'import secrets; print(secrets.token_hex(32), end="")' >"$RAY_AUTH_TOKEN_PATH")
    fi
    if ! chmod 600 "$RAY_AUTH_TOKEN_PATH"; then
        echo "others may be able to read the token in $RAY_AUTH_TOKEN_PATH, and with it run anything; name a file of yours" >&2
        exit 1
    fi
    local scratch agent_port client_port
    scratch=$(mktemp -d /tmp/raysweep-XXXXXX)  # short: the paths of Ray's sockets are limited to 107 characters
    echo "$folder" >"$scratch/made-for"
    echo "$scratch" >"$folder/scratch"
    # Two heads on one machine need different ports: those that users don't need are any free ones.
    read -r agent_port client_port < <(python -c '
import socket
sockets = [socket.create_server(("", 0)) for _ in range(2)]
print(*(item.getsockname()[1] for item in sockets))')

    MLFLOW_DISABLE_TELEMETRY=true MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false setsid mlflow server --host "$host" \
        --port "${MLFLOW_TRACKING_URI##*:}" --allowed-hosts "$host:*,localhost:*,127.0.0.1:*" --workers 1 \
        --backend-store-uri "sqlite:///$folder/mlflow.db" --artifacts-destination "$folder/mlartifacts" >"$folder/mlflow.log" 2>&1 </dev/null &
    remember mlflow $!
    setsid ray start --head --block --disable-usage-stats --temp-dir "$scratch" --node-ip-address "$host" \
        --port "$ray_port" --dashboard-host "$host" --dashboard-port "${dashboard##*:}" \
        --dashboard-agent-listen-port "$agent_port" --ray-client-server-port "$client_port" \
        --min-worker-port 0 --max-worker-port 0 "$@" >"$folder/ray.log" 2>&1 </dev/null &
    remember ray $!
    wait_for ray "$dashboard/api/version" "$RAY_AUTH_TOKEN_PATH"
    wait_for mlflow "$MLFLOW_TRACKING_URI/api/2.0/mlflow/experiments/search?max_results=1"
    echo "Ray:    $dashboard (its page asks for the token: cat $RAY_AUTH_TOKEN_PATH)"
    echo "MLflow: $MLFLOW_TRACKING_URI"
    echo "Store:  $RAYSWEEP_STORE"
    echo 'Next:   eval "$(cluster/local.sh env)"; ray job submit --working-dir . -- raysweep run experiments/quickstart.py'
}

stop() {
    local name pid
    for name in ray mlflow; do
        if pid=$(pid_of "$name"); then
            kill -TERM "$pid"  # ends its children too
            for _ in $(seq 100); do
                kill -0 "$pid" 2>/dev/null || break
                sleep 0.2
            done
            kill -KILL -- "-$pid" 2>/dev/null || true
            echo "stopped $name"
        fi
        rm -f "$folder/$name.pid"
    done
    if name=$(own_scratch); then
        rm -rf -- "$name"
    fi
    rm -f "$folder/scratch"
}

print_env() {
    local name
    export RAY_API_SERVER_ADDRESS=$dashboard
    for name in RAY_API_SERVER_ADDRESS RAY_AUTH_MODE RAY_AUTH_TOKEN_PATH MLFLOW_TRACKING_URI RAYSWEEP_STORE \
        ${RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER:+RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER}; do
        printf 'export %s=%q\n' "$name" "${!name}"
    done
}

case "${1:-}" in
    start) shift && start "$@" ;;
    stop) stop ;;
    env) print_env ;;
    *) usage && exit 2 ;;
esac
