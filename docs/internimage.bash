# bash completion of internimage. Commands and options are asked of the program itself.
_internimage()
{
    local word=${COMP_WORDS[COMP_CWORD]} words
    if [ "$COMP_CWORD" = 1 ]; then
        words="$(internimage --help | sed -n 's/^  \([a-z][a-z-]*\) .*/\1/p') --help --version"
    elif [[ $word == -* ]]; then
        words="$(internimage "${COMP_WORDS[1]}" --help | sed -n 's/^  \(--[a-z-]*\).*/\1/p') --help"
    else
        COMPREPLY=($(compgen -f -- "$word"))
        return
    fi
    COMPREPLY=($(compgen -W "$words" -- "$word"))
}
complete -o filenames -F _internimage internimage
