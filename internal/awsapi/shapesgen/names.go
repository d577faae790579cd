package main

import (
	"strings"
	"unicode"
)

// goName turns a name of the model into an exported Go name: deploymentIds -> DeploymentIDs.
func goName(name string) string {
	var b strings.Builder
	for _, word := range words(name) {
		switch word {
		case "Id", "Ids", "Arn", "Arns", "Url":
			word = strings.ToUpper(strings.TrimSuffix(word, "s")) + map[bool]string{true: "s"}[strings.HasSuffix(word, "s")]
		}
		b.WriteString(word)
	}
	return b.String()
}

// words splits at each upper-case letter that follows another kind, after making the first letter upper case.
func words(name string) []string {
	runes := []rune(name)
	runes[0] = unicode.ToUpper(runes[0])
	var out []string
	start := 0
	for i := 1; i < len(runes); i++ {
		if unicode.IsUpper(runes[i]) && !unicode.IsUpper(runes[i-1]) {
			out = append(out, string(runes[start:i]))
			start = i
		}
	}
	return append(out, string(runes[start:]))
}

// enumName turns a value into the end of a constant's name: READY_WAIT -> ReadyWait, codeDeployRollback ->
// CodeDeployRollback, S3 -> S3.
func enumName(value string) string {
	shout := value == strings.ToUpper(value) && len(value) > 3
	parts := strings.FieldsFunc(value, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
	var b strings.Builder
	for _, p := range parts {
		if shout {
			p = strings.ToLower(p)
		}
		b.WriteString(strings.ToUpper(p[:1]) + p[1:])
	}
	return b.String()
}
