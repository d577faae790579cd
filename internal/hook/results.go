package hook

import "strings"

// CleanupSuffix ends the id of the unit that cleans up after a scenario; before it stands that of the scenario's.
const CleanupSuffix = "/cleanup"

const checkpointSuffix = ".checkpoint"

// ResultOf tells of which effect a file in the results folder is, and whether it is of any.
func ResultOf(name string) (effect string, ok bool) {
	stem, suffix, _ := strings.Cut(name, ".")
	switch "." + suffix {
	case ".xml", jobSuffix, resultSuffix, cleanupSuffix, checkpointSuffix:
	default:
		return "", false
	}
	at := strings.LastIndexByte(stem, '-') // ids of deployments have one too
	if at < 1 || stem[at+1:] == "" || strings.Trim(stem[at+1:], "0123456789") != "" {
		return "", false
	}
	return stem[:at] + "/" + stem[at+1:], true
}

// IsCheckpoint reports whether a file of the results folder is of a scenario that has not cleaned up.
func IsCheckpoint(name string) bool { return strings.HasSuffix(name, checkpointSuffix) }
