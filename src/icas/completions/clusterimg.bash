# Completion of clusterimg for bash.
# Made by scripts/pages.py: change the parsers, not this.

# What may follow a flag of a command: sets kind, and words where they can be told.
_clusterimg_value() {
    kind= words=
    case "$1 $2" in
        "cluster --src"|"cluster --reference"|"cluster --dst"|"cluster --scratch"|"cluster --cache"|"demo --dst"|"thresholds --src"|"thresholds --cache"|"decide --cache"|"train --src"|"cache --cache")
            kind=folder ;;
        "cluster --method"|"demo --method"|"thresholds --method")
            kind=words words=$'ssim\nminhash\nimagehash\norb\ntm\ndeep' ;;
        "cluster --size"|"cluster --scale"|"cluster --candidates"|"cluster --seed"|"cluster --sample"|"cluster --batch-size"|"cluster --jobs"|"cluster --scheduler"|"cluster --memory"|"cluster --cache-size"|"cluster --max-pixels"|"cluster --decode-timeout"|"cluster --corners"|"cluster --permutations"|"cluster --grid"|"cluster --hash-size"|"cluster --highfreq-factor"|"cluster --keypoints"|"cluster --match-bits"|"cluster --tolerance"|"cluster --model"|"cluster --dims"|"cluster --clusters"|"cluster --max-iter"|"cluster --eps"|"cluster --min-samples"|"cluster --min-cluster-size"|"cluster --max-cluster-size"|"thresholds --sample"|"thresholds --seed"|"thresholds --size"|"thresholds --jobs"|"thresholds --corners"|"thresholds --permutations"|"thresholds --grid"|"thresholds --hash-size"|"thresholds --highfreq-factor"|"thresholds --keypoints"|"thresholds --match-bits"|"thresholds --tolerance"|"thresholds --model"|"thresholds --dims"|"thresholds --clusters"|"thresholds --max-iter"|"thresholds --eps"|"thresholds --min-samples"|"thresholds --min-cluster-size"|"thresholds --max-cluster-size"|"estimate --images"|"estimate --classes"|"estimate --batch-size"|"estimate --similar"|"estimate --sizes"|"train --size"|"train --dims"|"train --loss-model"|"train --loss-layers"|"train --epochs"|"train --batch-size"|"train --learning-rate"|"train --patience"|"train --validation"|"train --seed"|"train --jobs"|"train --max-pixels"|"train --decode-timeout")
            kind=text ;;
        "cluster --device"|"thresholds --device"|"train --device")
            kind=words words=$'cpu\ncuda\nmps\nauto' ;;
        "cluster --threshold")
            kind=words words=$'auto\npick' ;;
        "cluster --stage")
            kind=words words=$'all\nbatch\nmerge' ;;
        "cluster --merge")
            kind=words words=$'representatives\nexact' ;;
        "cluster --linkage")
            kind=words words=$'chain\ncomplete\naverage' ;;
        "cluster --transfer")
            kind=words words=$'copy\nmove\nhardlink\nsymlink\nnone' ;;
        "cluster --executor")
            kind=words words=$'threads\nprocesses\ndask' ;;
        "cluster --weights"|"thresholds --out"|"thresholds --plot"|"thresholds --weights"|"train --loss-weights"|"train --out")
            kind=file ;;
        "cluster --cluster-model"|"thresholds --cluster-model")
            kind=list words=$'kmeans\nhierarchy\ndbscan\ngaussian\nhdbscan' ;;
        "thresholds --labels"|"evaluate --labels")
            kind=csv ;;
        "split --at")
            kind=words words=$'weakest' ;;
        "train --loss")
            kind=words words=$'mse\nmae\nperceptual' ;;
        "train --difference")
            kind=words words=$'absolute\nsquared' ;;
    esac
    [[ -n $kind ]]
}

# What may stand at a place of a command, counted from 0.
_clusterimg_place() {
    kind=text words=
    case "$1 $2" in
        "cluster 0") kind=folder ;;
        "thresholds 0") kind=folder ;;
        "evaluate 0") kind=csv ;;
        "decide 0") kind=folder ;;
        "decide "*) kind=words words=$'must-link\ncannot-link\nreject\nlist\nforget' ;;
        "split 0") kind=folder ;;
        "split 1") kind=text ;;
        "undo 0") kind=folder ;;
        "train 0") kind=folder ;;
        "cache 0") kind=words words=$'info\nclear' ;;
        "help 0") kind=words words=$'cluster\ndemo\nthresholds\nevaluate\nestimate\ndecide\nsplit\nundo\ntrain\ncache\nhelp\ncompletion' ;;
        "completion 0") kind=words words=$'bash\nzsh\nfish' ;;
    esac
}

_clusterimg_flags() {
    kind=words
    case $1 in
        cluster) words=$'--src\n--recursive\n--reference\n--method\n--size\n--scale\n--candidates\n--device\n--seed\n--threshold\n--sample\n--batch-size\n--stage\n--merge\n--linkage\n--decisions\n--no-decisions\n--dst\n--transfer\n--keep-batches\n--overwrite\n--resume\n--dry-run\n--report\n--no-report\n--jobs\n--executor\n--scheduler\n--memory\n--scratch\n--cache\n--cache-size\n--no-cache\n--max-pixels\n--isolate\n--no-isolate\n--decode-timeout\n-q\n--quiet\n-v\n--verbose\n--json\n--debug\n--version\n-h\n--help\n--corners\n--permutations\n--grid\n--exact\n--no-exact\n--hash-size\n--highfreq-factor\n--keypoints\n--match-bits\n--tolerance\n--model\n--weights\n--dims\n--cluster-model\n--clusters\n--max-iter\n--eps\n--min-samples\n--min-cluster-size\n--max-cluster-size' ;;
        demo) words=$'--method\n--dst\n-q\n--quiet\n--debug\n--version\n-h\n--help' ;;
        thresholds) words=$'--src\n--labels\n--recursive\n--sample\n--seed\n--method\n--size\n--out\n--plot\n--jobs\n--cache\n--no-cache\n-q\n--quiet\n--debug\n--version\n-h\n--help\n--corners\n--permutations\n--grid\n--exact\n--no-exact\n--hash-size\n--highfreq-factor\n--keypoints\n--match-bits\n--tolerance\n--model\n--weights\n--dims\n--cluster-model\n--clusters\n--max-iter\n--eps\n--min-samples\n--min-cluster-size\n--max-cluster-size\n--device' ;;
        evaluate) words=$'--labels\n-q\n--quiet\n--json\n--debug\n--version\n-h\n--help' ;;
        estimate) words=$'--images\n--classes\n--batch-size\n--similar\n--sizes\n-q\n--quiet\n--json\n--debug\n--version\n-h\n--help' ;;
        decide) words=$'--learn\n--cache\n-q\n--quiet\n--json\n--debug\n--version\n-h\n--help' ;;
        split) words=$'--at\n--dry-run\n-q\n--quiet\n-v\n--verbose\n--json\n--debug\n--version\n-h\n--help' ;;
        undo) words=$'--dry-run\n-q\n--quiet\n-v\n--verbose\n--json\n--debug\n--version\n-h\n--help' ;;
        train) words=$'--src\n--recursive\n--size\n--dims\n--loss\n--loss-model\n--loss-weights\n--loss-layers\n--difference\n--epochs\n--batch-size\n--learning-rate\n--patience\n--validation\n--seed\n--out\n--resume\n--overwrite\n--device\n--jobs\n--max-pixels\n--isolate\n--decode-timeout\n-q\n--quiet\n-v\n--verbose\n--json\n--debug\n--version\n-h\n--help' ;;
        cache) words=$'--cache\n-q\n--quiet\n--json\n--debug\n--version\n-h\n--help' ;;
        help) words=$'-q\n--quiet\n--debug\n--version\n-h\n--help' ;;
        completion) words=$'-q\n--quiet\n--debug\n--version\n-h\n--help' ;;
    esac
}

# The lines on stdin that begin with what is typed.
# Not compgen -W: that splits and expands them once more.
_clusterimg_reply() {
    local line
    while IFS= read -r line; do
        if [[ $line == "$current"* ]]; then
            COMPREPLY+=("${line// /\\ }")
        fi
    done
}

# Words with commas between them: those that are not there yet.
_clusterimg_list() {
    local typed= word
    if [[ $current == *,* ]]; then
        typed=${current%,*},
    fi
    for word in $words; do
        if [[ ,$typed != *",$word,"* ]]; then
            printf '%s\n' "$typed$word"
        fi
    done
}

# Files, as readline wants them: it does the quoting.
_clusterimg_files() {
    local line
    while IFS= read -r line; do
        COMPREPLY+=("$line")
    done < <(compgen -f "$@" -- "$current")
}

_clusterimg() {
    local current=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]}
    local command=cluster kind= words= place=0 i=1
    COMPREPLY=()
    compopt +o default +o bashdefault 2>/dev/null
    if [[ $current == = ]]; then
        current=
    elif [[ $before == = ]]; then
        before=${COMP_WORDS[COMP_CWORD-2]}
    fi
    if ((COMP_CWORD > 1)); then
        case ${COMP_WORDS[1]} in
            cluster|demo|thresholds|evaluate|estimate|decide|split|undo|train|cache|help|completion) command=${COMP_WORDS[1]} i=2 ;;
        esac
    fi
    while ((i < COMP_CWORD)); do
        if _clusterimg_value "$command" "${COMP_WORDS[i]}"; then
            ((i += 1))
        elif [[ ${COMP_WORDS[i]} != -* ]]; then
            ((place += 1))
        fi
        ((i += 1))
    done
    if ! _clusterimg_value "$command" "$before"; then
        if [[ $current == -* ]]; then
            _clusterimg_flags "$command"
        else
            _clusterimg_place "$command" "$place"
        fi
    fi
    if ((COMP_CWORD == 1)) && [[ $current != -* ]]; then
        _clusterimg_reply <<<"cluster
demo
thresholds
evaluate
estimate
decide
split
undo
train
cache
help
completion"
        compopt -o filenames 2>/dev/null
        [[ $kind == folder ]] && compopt -o plusdirs 2>/dev/null
        [[ $kind == file ]] && _clusterimg_files
        return 0
    fi
    case $kind in
        folder) compopt -o dirnames -o filenames 2>/dev/null ;;
        file) compopt -o default 2>/dev/null ;;
        csv)
            compopt -o filenames -o plusdirs 2>/dev/null
            _clusterimg_files -X '!*.csv'
            ;;
        list)
            compopt -o nospace 2>/dev/null
            _clusterimg_reply < <(_clusterimg_list)
            ;;
        words) _clusterimg_reply <<<"$words" ;;
    esac
    return 0
}

complete -o bashdefault -o default -F _clusterimg clusterimg
