/* SPDX-License-Identifier: BSD-2-Clause */
/* What is made of the table of verbs: the manual page and the shells' completion. */
#define _DEFAULT_SOURCE
#include "tools/hvctl/hvctl.h"

#include <stdio.h>
#include <string.h>

/* Text in roff(7): a '-' is one to type, and no line is taken for a request. */
static void print_roff(const char *text)
{
    bool begins = true;

    for (; *text != '\0'; text++) {
        if (begins && (*text == '.' || *text == '\'')) {
            printf("\\&");
        }
        if (*text == '-' || *text == '\\') {
            putchar('\\');
        }
        if (*text == '\\') {
            putchar('e');
        } else {
            putchar(*text);
        }
        begins = *text == '\n';
    }
}

static void print_block(const char *text)
{
    printf(".nf\n");
    print_roff(text);
    printf(".fi\n");
}

int run_manual(struct client *client, int argc, char **argv)
{
    (void)client;
    if (argc > 1) {
        return wrong_usage(argv[0], "it takes no arguments");
    }
    printf(".TH HVCTL 1 \"\" \"Postern\" \"User Commands\"\n"
           ".SH NAME\nhvctl \\- drives the Postern hypervisor over its serial line\n"
           ".SH SYNOPSIS\n.B hvctl\n[\\fIOPTION\\fR...] [\\fIVERB\\fR [\\fIARGUMENT\\fR...]]\n"
           ".SH DESCRIPTION\nWithout a verb it prompts for them. On a terminal TAB completes, the "
           "arrow\n"
           "keys bring back lines of this session, and Ctrl-D leaves; see editrc(5).\n"
           ".SH OPTIONS\n");
    print_block(option_help);
    printf(".SH VERBS\n");
    for (unsigned i = 0; i < verb_count; i++) {
        printf(".TP\n\\fB%s\\fR ", verbs[i].name);
        print_roff(verbs[i].arguments);
        putchar('\n');
        print_roff(verbs[i].summary);
        printf(".\n.RS\n");
        print_block(verbs[i].help);
        printf(".RE\n");
    }
    printf(".SH ENVIRONMENT\n.TP\nPOSTERN_LINE\nThe line, without\n.BR \\-l .\n"
           ".SH EXIT STATUS\n");
    print_block(exit_help);
    return EXIT_DONE;
}

/* The words that may follow a verb, and where names come from, as its usage tells. */
static void print_case(const struct verb *verb)
{
    size_t length = 0;

    printf("    %s)\n        words='--help", verb->name);
    for (const char *at = verb->arguments; (at = next_option(at, &length)) != NULL; at += length) {
        printf(" %.*s", (int)length, at);
    }
    printf("'\n");
    for (const struct verb_names *names = verb_names; names->placeholder != NULL; names++) {
        if (strstr(verb->arguments, names->placeholder) != NULL) {
            printf("        words+=\" $(_hvctl_names %s)\"\n", names->command);
        }
    }
    for (const char *const *word = verb->words; word != NULL && *word != NULL; word++) {
        printf("        words+=' %s'\n", *word);
    }
    if (strstr(verb->arguments, "FILE") != NULL) {
        printf("        files=1\n");
    }
    printf("        ;;\n");
}

int run_completion(struct client *client, int argc, char **argv)
{
    (void)client;
    if (argc != 2 || (strcmp(argv[1], "bash") != 0 && strcmp(argv[1], "zsh") != 0)) {
        return wrong_usage(argv[0], "it takes 'bash' or 'zsh'");
    }
    if (strcmp(argv[1], "zsh") == 0) {
        printf("autoload -U +X compinit && compinit\n"
               "autoload -U +X bashcompinit && bashcompinit\n");
    }
    printf("_hvctl_names() {\n"
           "    hvctl ${_hvctl_line:+-l \"$_hvctl_line\"} -t 1 \"$1\" 2>/dev/null </dev/null |\n"
           "        tail -n +2 | cut -f1 | sort -u\n"
           "}\n"
           "_hvctl() {\n"
           "    local current=${COMP_WORDS[COMP_CWORD]} verb= words= files= i _hvctl_line=\n"
           "    for ((i = 1; i < COMP_CWORD; i++)); do\n"
           "        case ${COMP_WORDS[i]} in\n"
           "        -l | --line) _hvctl_line=${COMP_WORDS[++i]} ;;\n"
           "        -t | --timeout) ((++i)) ;;\n"
           "        -*) ;;\n"
           "        *) verb=${COMP_WORDS[i]}; break ;;\n"
           "        esac\n"
           "    done\n"
           "    case $verb in\n"
           "    '')\n        words='--line --timeout --json --help help");
    for (unsigned i = 0; i < verb_count; i++) {
        printf(" %s", verbs[i].name);
    }
    printf("'\n        ;;\n    help)\n        words='");
    for (unsigned i = 0; i < verb_count; i++) {
        printf("%s ", verbs[i].name);
    }
    printf("'\n        ;;\n");
    for (unsigned i = 0; i < verb_count; i++) {
        print_case(&verbs[i]);
    }
    printf("    esac\n"
           "    COMPREPLY=($(compgen -W \"$words\" ${files:+-f} -- \"$current\"))\n"
           "}\n"
           "complete -F _hvctl hvctl\n");
    return EXIT_DONE;
}
