// Package alarm puts CloudWatch's metric alarms into the state that their metrics say, and carries out their actions.
//
// As with CloudWatch, an alarm is looked at once a minute (where its period is shorter, six times a minute), on the
// periods that have ended by then. Its state is a resource: it outlives the process.
package alarm
