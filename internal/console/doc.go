// Package console serves the web page: what is being deployed, what was proved, what carries traffic, and what happens
// when somebody presses a button.
//
// Every page is HTML made on the server and complete without JavaScript. Where there is JavaScript, a page follows a
// stream of server-sent events: each is the page anew, and the browser changes what differs. What the pages show is
// read from the store with each change, never from the engine's memory, so a stream that breaks loses nothing: the next
// one begins with what is true then.
//
// The console is a client like others: it reads and acts through the operations of the API, as the principal who signed
// in, and may what that principal may.
package console
