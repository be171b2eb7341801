// SPDX-License-Identifier: Apache-2.0

package output

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Save writes a JSON document to a file. Whoever reads that finds what was there before, or the whole document, and never a part of it:
// it is written under another name in the same directory, which the file then takes. What is no regular file (a pipe, a device) is written
// as it is, and so is one whose directory takes no other, or that can't be replaced (it is mounted there): a run of hours is not lost for that.
// Nor is it for a link by which nothing can be written: the report takes its place.
func Save(path string, document any) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("write report: %w", err)
		}
	}()
	before, err := os.Stat(path)
	switch {
	case err == nil && !before.Mode().IsRegular():
		return saveOver(path, document)
	case err == nil:
		if path, err = filepath.EvalSymlinks(path); err != nil { // the link stays
			return err
		}
	default:
		link, linkErr := os.Lstat(path)
		if linkErr == nil && link.Mode()&fs.ModeSymlink != 0 && errors.Is(err, fs.ErrNotExist) && saveOver(path, document) == nil {
			return nil // it named a file that was not there yet
		}
	}
	name := filepath.Join(filepath.Dir(path), fmt.Sprintf(".%s.%d", filepath.Base(path), os.Getpid()))
	file, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return saveOver(path, document)
	}
	if before != nil {
		err = file.Chmod(before.Mode().Perm())
	}
	err = errors.Join(err, JSON(file, document), file.Sync(), file.Close())
	if err != nil {
		return errors.Join(err, os.Remove(name))
	}
	if os.Rename(name, path) != nil {
		return errors.Join(saveOver(path, document), os.Remove(name))
	}
	return nil
}

func saveOver(path string, document any) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o666)
	if err != nil {
		return err
	}
	return errors.Join(JSON(file, document), file.Close())
}
