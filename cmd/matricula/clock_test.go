package main

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestCommandsLiveInTheTimeOfTheDemoTheyReach(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var demo, command clock
	if err := command.follow(dir); err != nil || command.ahead.Load() != 0 {
		t.Errorf("where no demo says its time, a command is %s ahead: %v", time.Duration(command.ahead.Load()), err)
	}
	demo.set(time.Date(2099, 7, 31, 23, 59, 30, 0, time.UTC))
	if err := demo.tell(dir); err != nil {
		t.Fatal(err)
	}
	if err := command.follow(dir); err != nil || command.ahead.Load() != demo.ahead.Load() || command.Now().Year() != 2099 {
		t.Errorf("a command says it is %s: %v", command.Now(), err)
	}
	if err := os.WriteFile(filepath.Join(dir, clockFile), []byte("soon"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := command.follow(dir); err == nil {
		t.Error("a time that cannot be read is taken")
	}
}
