package cloud

import "strings"

// FindFunction finds a function by what clients name it: its name, its ARN whole or in part, with or without a qualifier
// (":1", ":live"). A qualifier that is given beside wins over none.
func FindFunction(s State, ref, qualifier string) (Function, FunctionVersion, bool) {
	name, inRef := FunctionName(ref)
	if qualifier == "" {
		qualifier = inRef
	}
	f, ok := Find[Function](s, name)
	if !ok {
		return f, FunctionVersion{}, false
	}
	if v, alias := f.Aliases[qualifier]; alias {
		qualifier = v
	}
	if qualifier == "" || qualifier == "$LATEST" {
		return f, f.Latest, true
	}
	for _, v := range f.Publish {
		if v.Version == qualifier {
			return f, v, true
		}
	}
	return f, FunctionVersion{}, false
}

// FunctionName takes a reference to a function apart: "name", "name:qualifier", "account:function:name" or an ARN.
func FunctionName(ref string) (name, qualifier string) {
	if i := strings.LastIndex(ref, "function:"); i >= 0 {
		ref = ref[i+len("function:"):]
	}
	name, qualifier, _ = strings.Cut(ref, ":")
	return name, qualifier
}
