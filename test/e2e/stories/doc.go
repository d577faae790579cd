// Package stories holds end-to-end stories: each testdata/*.txtar is one, a script and the files it finds beside itself.
// They run the real binary against a controller of their own, with real tasks, hooks and traffic.
//
// # The language
//
// It is a part of testscript's with commands of ours. A line is a command; # begins a comment; single quotes protect
// blanks (two of them are one); $NAME is a variable; a leading ! turns an assertion around.
//
//	serve ARGS...              start a controller on $GREENGATE_DATA and wait until it is ready
//	greengate ARGS...          must succeed; its output is what stdout, stderr, json and field mean next
//	code N CMD ARGS...         must end with exit code N
//	exec CMD ARGS...           must succeed
//	bg NAME CMD ARGS...        start in the background; waitbg NAME N waits for it to end with exit code N
//	await RE CMD ARGS...       repeat until the output matches
//	gone                       wait until no process of the story is left
//	memory-below ROLE MIB      the most memory that a role has had
//	signal NAME SIG            send a signal to a background command, to serve, or to a role of it
//
//	[!] stdout RE, stderr RE   what the last command printed
//	json, jsonlines            stdout is one document, or one on each line
//	field PATH RE              a value of the document: deployment.verdicts.-1.status; PATH.# is a length
//	set NAME RE                the first group of RE in stdout becomes a variable
//	cmp FILE FILE, [!] grep RE FILE, [!] exists FILE, mkdir, cp, rm
//	append FILE LINE, add FILE FILE, sub FILE OLD NEW
//	await-file RE FILE         wait until a file matches
//	needs PROGRAM|python:MODULE|root   skip where it is absent
//	tmpfs DIR SIZE, fill FILE  a file system of its own, and one that is full
//
//	http METHOD URL STATUS RE  one request; the last two may be left out
//	api KEYS ACTION BODY       one signed or unsigned request to the API: prints status and body
//	websocket NAME URL         open; ws-say NAME TEXT RE sends and expects; ws-close, ws-await-end
//	load URL                   begin continuous load on a URL: GET and POST, with and without keep-alive
//	load-mark                  count anew
//	load-await N               until N more requests were answered
//	load-share VERSION LO HI   the share of the requests since the mark that VERSION answered, in percent
//	load-end N                 stop it; fails when more than N (0) requests failed
//
//	disturb                    stop it; fails when no request failed, or all of them
//
// A story without a greengate.yaml of its own gets testdata/shop.yaml. In *.yaml and *.json files ${PROD} and ${TEST} stand for addresses that belong to the story alone, ${WORK} for its
// folder; $FREE is a port that was free on every address. The program shop is in the search path: the service, and the hooks, of most stories.
package stories
