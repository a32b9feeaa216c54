# Completion of segmentimg for bash.
# Made by scripts/pages.py: change the parsers, not this.

# What may follow a flag of a command: sets kind, and words where they can be told.
_segmentimg_value() {
    kind= words=
    case "$1 $2" in
        "segment --method"|"evaluate --method")
            kind=words words=$'superpixel\nedge\nkmeans\nslickmeans\nchanvese\nfelzenszwalb\nquickshift\ngraph\ngrabcut\nsam' ;;
        "segment --work-size"|"segment --template-threshold"|"segment --jobs"|"segment --ahead"|"segment --max-pixels"|"segment --region-size"|"segment --ruler"|"segment --ratio"|"segment --iterations"|"segment --levels"|"segment --prior"|"segment --histogram-bins"|"segment --d"|"segment --sigma-color"|"segment --sigma-space"|"segment --h"|"segment --window"|"segment --strength"|"segment --closing"|"segment --min-size"|"segment --k"|"segment --color-importance"|"segment --position-weight"|"segment --sigma"|"segment --seed"|"segment --bins"|"segment --mu"|"segment --lambda1"|"segment --lambda2"|"segment --tol"|"segment --max-num-iter"|"segment --dt"|"segment --scale"|"segment --kernel-size"|"segment --max-dist"|"segment --box"|"segment --point"|"segment --rounds"|"segment --points-per-side"|"segment --points-per-batch"|"segment --pred-iou-thresh"|"segment --stability-score-thresh"|"segment --stability-score-offset"|"segment --box-nms-thresh"|"segment --crop-n-layers"|"segment --crop-nms-thresh"|"segment --crop-overlap-ratio"|"segment --crop-n-points-downscale-factor"|"segment --min-mask-region-area"|"evaluate --jobs"|"evaluate --region-size"|"evaluate --ruler"|"evaluate --ratio"|"evaluate --iterations"|"evaluate --levels"|"evaluate --prior"|"evaluate --histogram-bins"|"evaluate --d"|"evaluate --sigma-color"|"evaluate --sigma-space"|"evaluate --h"|"evaluate --window"|"evaluate --strength"|"evaluate --closing"|"evaluate --min-size"|"evaluate --k"|"evaluate --color-importance"|"evaluate --position-weight"|"evaluate --sigma"|"evaluate --seed"|"evaluate --bins"|"evaluate --mu"|"evaluate --lambda1"|"evaluate --lambda2"|"evaluate --tol"|"evaluate --max-num-iter"|"evaluate --dt"|"evaluate --scale"|"evaluate --kernel-size"|"evaluate --max-dist"|"evaluate --box"|"evaluate --point"|"evaluate --rounds"|"evaluate --points-per-side"|"evaluate --points-per-batch"|"evaluate --pred-iou-thresh"|"evaluate --stability-score-thresh"|"evaluate --stability-score-offset"|"evaluate --box-nms-thresh"|"evaluate --crop-n-layers"|"evaluate --crop-nms-thresh"|"evaluate --crop-overlap-ratio"|"evaluate --crop-n-points-downscale-factor"|"evaluate --min-mask-region-area")
            kind=text ;;
        "segment --palette"|"segment --preview"|"segment --sam-checkpoint"|"evaluate --sam-checkpoint")
            kind=file ;;
        "segment --templates"|"segment --attentions"|"segment --segments"|"segment --masks"|"segment --out"|"segment --cache"|"evaluate --images"|"evaluate --truth"|"evaluate --cache")
            kind=folder ;;
        "segment --save")
            kind=list words=$'masks\nlabels\ncoco\nlabelme\nsegments\noverlay\njson\ncentres' ;;
        "segment --algorithm"|"evaluate --algorithm")
            kind=words words=$'seeds\nslic\nslico\nlsc' ;;
        "segment --smoother"|"evaluate --smoother")
            kind=words words=$'bilateral\nnlmeans\nnone' ;;
        "segment --init-level-set"|"evaluate --init-level-set")
            kind=words words=$'checkerboard\ndisk\nsmall disk' ;;
        "segment --sam-model"|"evaluate --sam-model")
            kind=words words=$'vit_b\nvit_l\nvit_h\nvit_t' ;;
        "segment --sam-mode"|"evaluate --sam-mode")
            kind=words words=$'prompt\nauto' ;;
        "segment --device"|"evaluate --device")
            kind=words words=$'cpu\ncuda\nauto' ;;
    esac
    [[ -n $kind ]]
}

# What may stand at a place of a command, counted from 0.
_segmentimg_place() {
    kind=text words=
    case "$1 $2" in
        "segment "*) kind=file ;;
        "help 0") kind=words words=$'segment\nevaluate\nhelp\ncompletion' ;;
        "completion 0") kind=words words=$'bash\nzsh\nfish' ;;
    esac
}

_segmentimg_flags() {
    kind=words
    case $1 in
        segment) words=$'--recursive\n--method\n--work-size\n--palette\n--templates\n--attentions\n--segments\n--masks\n--template-threshold\n--no-gui\n--preview\n--out\n--save\n--portable-names\n--resume\n--no-resume\n--jobs\n--ahead\n--max-pixels\n-q\n--quiet\n-v\n--verbose\n--debug\n--version\n-h\n--help\n--algorithm\n--region-size\n--ruler\n--ratio\n--iterations\n--levels\n--prior\n--histogram-bins\n--smoother\n--d\n--sigma-color\n--sigma-space\n--h\n--window\n--strength\n--closing\n--min-size\n--keep-edges\n--k\n--color-importance\n--position-weight\n--sigma\n--seed\n--bins\n--mu\n--lambda1\n--lambda2\n--tol\n--max-num-iter\n--dt\n--init-level-set\n--scale\n--kernel-size\n--max-dist\n--box\n--point\n--rounds\n--points-per-side\n--points-per-batch\n--pred-iou-thresh\n--stability-score-thresh\n--stability-score-offset\n--box-nms-thresh\n--crop-n-layers\n--crop-nms-thresh\n--crop-overlap-ratio\n--crop-n-points-downscale-factor\n--min-mask-region-area\n--sam-checkpoint\n--sam-model\n--sam-mode\n--device\n--cache' ;;
        evaluate) words=$'--images\n--truth\n--method\n--jobs\n-q\n--quiet\n--json\n--debug\n--version\n-h\n--help\n--algorithm\n--region-size\n--ruler\n--ratio\n--iterations\n--levels\n--prior\n--histogram-bins\n--smoother\n--d\n--sigma-color\n--sigma-space\n--h\n--window\n--strength\n--closing\n--min-size\n--keep-edges\n--k\n--color-importance\n--position-weight\n--sigma\n--seed\n--bins\n--mu\n--lambda1\n--lambda2\n--tol\n--max-num-iter\n--dt\n--init-level-set\n--scale\n--kernel-size\n--max-dist\n--box\n--point\n--rounds\n--points-per-side\n--points-per-batch\n--pred-iou-thresh\n--stability-score-thresh\n--stability-score-offset\n--box-nms-thresh\n--crop-n-layers\n--crop-nms-thresh\n--crop-overlap-ratio\n--crop-n-points-downscale-factor\n--min-mask-region-area\n--sam-checkpoint\n--sam-model\n--sam-mode\n--device\n--cache' ;;
        help) words=$'-q\n--quiet\n--debug\n--version\n-h\n--help' ;;
        completion) words=$'-q\n--quiet\n--debug\n--version\n-h\n--help' ;;
    esac
}

# The lines on stdin that begin with what is typed.
# Not compgen -W: that splits and expands them once more.
_segmentimg_reply() {
    local line
    while IFS= read -r line; do
        if [[ $line == "$current"* ]]; then
            COMPREPLY+=("${line// /\\ }")
        fi
    done
}

# Words with commas between them: those that are not there yet.
_segmentimg_list() {
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
_segmentimg_files() {
    local line
    while IFS= read -r line; do
        COMPREPLY+=("$line")
    done < <(compgen -f "$@" -- "$current")
}

_segmentimg() {
    local current=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]}
    local command=segment kind= words= place=0 i=1
    COMPREPLY=()
    compopt +o default +o bashdefault 2>/dev/null
    if [[ $current == = ]]; then
        current=
    elif [[ $before == = ]]; then
        before=${COMP_WORDS[COMP_CWORD-2]}
    fi
    if ((COMP_CWORD > 1)); then
        case ${COMP_WORDS[1]} in
            segment|evaluate|help|completion) command=${COMP_WORDS[1]} i=2 ;;
        esac
    fi
    while ((i < COMP_CWORD)); do
        if _segmentimg_value "$command" "${COMP_WORDS[i]}"; then
            ((i += 1))
        elif [[ ${COMP_WORDS[i]} != -* ]]; then
            ((place += 1))
        fi
        ((i += 1))
    done
    if ! _segmentimg_value "$command" "$before"; then
        if [[ $current == -* ]]; then
            _segmentimg_flags "$command"
        else
            _segmentimg_place "$command" "$place"
        fi
    fi
    if ((COMP_CWORD == 1)) && [[ $current != -* ]]; then
        _segmentimg_reply <<<"segment
evaluate
help
completion"
        compopt -o filenames 2>/dev/null
        [[ $kind == folder ]] && compopt -o plusdirs 2>/dev/null
        [[ $kind == file ]] && _segmentimg_files
        return 0
    fi
    case $kind in
        folder) compopt -o dirnames -o filenames 2>/dev/null ;;
        file) compopt -o default 2>/dev/null ;;
        csv)
            compopt -o filenames -o plusdirs 2>/dev/null
            _segmentimg_files -X '!*.csv'
            ;;
        list)
            compopt -o nospace 2>/dev/null
            _segmentimg_reply < <(_segmentimg_list)
            ;;
        words) _segmentimg_reply <<<"$words" ;;
    esac
    return 0
}

complete -o bashdefault -o default -F _segmentimg segmentimg
