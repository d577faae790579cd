// Package config turns files and the environment into values: greengate.yaml into a deploy.Service, the settings of
// `greengate serve`, and the credentials by which a client finds a controller.
//
// It is the only reader of the environment: functions that need it take environ, which is os.Getenv in the program and a
// map in tests.
//
// The contract of LoadService: the file is refused as a whole or accepted as a whole. Every fault is reported at once,
// with line and column, before anything starts; what is accepted has passed deploy.Service.Validate, and the folders,
// programs and handlers that it names exist on this machine.
package config
