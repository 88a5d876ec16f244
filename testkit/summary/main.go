// Command summary runs go test and says what ran, what failed and what was
// skipped and why, with the counts on its last line. Its arguments are those of
// go test, and it exits as go test does. It must not know any test by name.
//
//	go run ./testkit/summary -race ./...
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
)

func main() { os.Exit(run(os.Args[1:])) }

func run(args []string) int {
	goTest := exec.CommandContext(context.Background(), "go", append([]string{"test", "-json"}, args...)...)
	goTest.Stderr = os.Stderr
	out, err := goTest.StdoutPipe()
	if err == nil {
		err = goTest.Start()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "go test:", err)
		return 1
	}
	t := newTally(os.Stdout)
	readErr := t.read(out)
	err = goTest.Wait()
	t.close()
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit) && exit.ExitCode() > 0:
		return exit.ExitCode()
	case err != nil || readErr != nil || t.failed > 0:
		fmt.Fprintln(os.Stderr, "go test:", errors.Join(err, readErr))
		return 1
	}
	return 0
}
