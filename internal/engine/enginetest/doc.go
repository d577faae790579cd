// Package enginetest holds World: everything outside of an engine, in memory, to run an engine against
// and to break.
//
// A World lives on while processes die. Each process is a Life: it hands out the engine's ports, and
// every call through them passes points, one before the call and, where it changes something, one
// after. At a point the test may let the call fail once (Fault) or let the process die (Crash): then
// the engine's context ends, and every call of that Life, also those in progress, returns an error and
// changes nothing any more. The next Life goes on with what was stored.
//
// A World keeps a journal of what really happened (programs that started, weights that were served)
// and notes by itself what must never happen, see Violations. It takes its time from package time, so
// that it runs in a testing/synctest bubble as well as outside.
//
// Its store passes storetest.Exercise, and its ports pass workloadtest, traffictest and hooktest like
// the adapters that they stand in for.
package enginetest
