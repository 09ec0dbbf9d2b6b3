// SPDX-License-Identifier: MIT

// What can be known of packer/ without Packer: whether the files are formatted as `packer fmt` does, and what they
// say with given variables. It is made of the libraries that Packer reads its files with, so syntax, types,
// conditions and expressions are the real ones; which attributes a builder knows is not in them.
//
//	hcl fmt FILE...                  names the files that are formatted otherwise
//	hcl show FOLDER [NAME=VALUE]...  prints as JSON what the blocks source and build come to
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclparse"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/hashicorp/hcl/v2/hclwrite"
)

func main() {
	if len(os.Args) >= 3 && os.Args[1] == "fmt" {
		os.Exit(format(os.Args[2:]))
	}
	if len(os.Args) >= 3 && os.Args[1] == "show" {
		os.Exit(show(os.Args[2], os.Args[3:]))
	}
	fmt.Fprintln(os.Stderr, "hcl: fmt FILE... or show FOLDER [NAME=VALUE]...")
	os.Exit(2)
}

func format(files []string) int {
	status := 0
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			fmt.Fprintln(os.Stderr, "hcl:", err)
			return 2
		}
		if !bytes.Equal(text, hclwrite.Format(text)) {
			fmt.Println(name)
			status = 1
		}
	}
	return status
}

func show(folder string, given []string) int {
	parser := hclparse.NewParser()
	blocks, diagnostics := parse(parser, folder)
	var result map[string]any
	if !diagnostics.HasErrors() {
		values := map[string]string{}
		for _, one := range given {
			name, value, _ := strings.Cut(one, "=")
			values[name] = value
		}
		result, diagnostics = evaluate(folder, blocks, values)
	}
	if diagnostics.HasErrors() {
		writer := hcl.NewDiagnosticTextWriter(os.Stderr, parser.Files(), 0, false)
		_ = writer.WriteDiagnostics(diagnostics)
		return 1
	}
	output := json.NewEncoder(os.Stdout)
	output.SetIndent("", "  ")
	if err := output.Encode(result); err != nil {
		fmt.Fprintln(os.Stderr, "hcl:", err)
		return 2
	}
	return 0
}

// Reads every *.pkr.hcl of the folder, as one.
func parse(parser *hclparse.Parser, folder string) (blocks hclsyntax.Blocks, diagnostics hcl.Diagnostics) {
	names, _ := filepath.Glob(filepath.Join(folder, "*.pkr.hcl"))
	if len(names) == 0 {
		return nil, problem("No file", "There is no *.pkr.hcl in "+folder+".", nil)
	}
	for _, name := range names {
		file, found := parser.ParseHCLFile(name)
		diagnostics = append(diagnostics, found...)
		if file == nil || found.HasErrors() {
			continue
		}
		body := file.Body.(*hclsyntax.Body)
		for _, attribute := range body.Attributes {
			diagnostics = append(diagnostics,
				problem("Attribute outside of a block", attribute.Name+" is in no block.", attribute.SrcRange.Ptr())...)
		}
		blocks = append(blocks, body.Blocks...)
	}
	return blocks, diagnostics
}

func problem(summary, detail string, where *hcl.Range) hcl.Diagnostics {
	return hcl.Diagnostics{{Severity: hcl.DiagError, Summary: summary, Detail: detail, Subject: where}}
}
