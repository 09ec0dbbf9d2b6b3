// SPDX-License-Identifier: MIT

package main

import (
	"os"
	"path/filepath"
	"regexp"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/ext/tryfunc"
	"github.com/hashicorp/hcl/v2/ext/typeexpr"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"
	"github.com/zclconf/go-cty/cty/function"
	"github.com/zclconf/go-cty/cty/function/stdlib"
	ctyjson "github.com/zclconf/go-cty/cty/json"
)

// The time of every evaluation, so that results can be compared.
const now = "2026-01-02T03:04:05Z"

// Of Packer's functions, those that packer/ uses.
var functions = map[string]function.Function{
	"abspath":    text(func(path string) (string, error) { return filepath.Abs(path) }),
	"alltrue":    function.New(&function.Spec{Params: []function.Parameter{{Name: "list", Type: cty.List(cty.Bool)}}, Type: function.StaticReturnType(cty.Bool), Impl: allTrue}),
	"basename":   text(func(path string) (string, error) { return filepath.Base(path), nil }),
	"can":        tryfunc.CanFunc,
	"compact":    stdlib.CompactFunc,
	"contains":   stdlib.ContainsFunc,
	"fileexists": function.New(&function.Spec{Params: []function.Parameter{{Name: "path", Type: cty.String}}, Type: function.StaticReturnType(cty.Bool), Impl: fileExists}),
	"formatdate": stdlib.FormatDateFunc,
	"join":       stdlib.JoinFunc,
	"keys":       stdlib.KeysFunc,
	"merge":      stdlib.MergeFunc,
	"regex":      stdlib.RegexFunc,
	"timeadd":    stdlib.TimeAddFunc,
	"timestamp":  function.New(&function.Spec{Type: function.StaticReturnType(cty.String), Impl: func([]cty.Value, cty.Type) (cty.Value, error) { return cty.StringVal(now), nil }}),
	"values":     stdlib.ValuesFunc,
}

func text(change func(string) (string, error)) function.Function {
	return function.New(&function.Spec{
		Params: []function.Parameter{{Name: "text", Type: cty.String}},
		Type:   function.StaticReturnType(cty.String),
		Impl: func(values []cty.Value, _ cty.Type) (cty.Value, error) {
			result, err := change(values[0].AsString())
			return cty.StringVal(result), err
		},
	})
}

func allTrue(values []cty.Value, _ cty.Type) (cty.Value, error) {
	for _, one := range values[0].AsValueSlice() {
		if one.False() {
			return cty.False, nil
		}
	}
	return cty.True, nil
}

func fileExists(values []cty.Value, _ cty.Type) (cty.Value, error) {
	found, err := os.Stat(values[0].AsString())
	return cty.BoolVal(err == nil && found.Mode().IsRegular()), nil
}

func evaluate(folder string, blocks hclsyntax.Blocks, given map[string]string) (map[string]any, hcl.Diagnostics) {
	variables, diagnostics := readVariables(blocks, given)
	if diagnostics.HasErrors() {
		return nil, diagnostics
	}
	context := &hcl.EvalContext{Functions: functions, Variables: map[string]cty.Value{
		"var":  cty.ObjectVal(variables),
		"path": cty.ObjectVal(map[string]cty.Value{"root": cty.StringVal(folder)}),
	}}
	if diagnostics = readLocals(blocks, context); diagnostics.HasErrors() {
		return nil, diagnostics
	}
	result := map[string]any{}
	for _, block := range blocks {
		switch block.Type {
		case "packer", "source", "build":
			content, found := readBody(block.Body, context)
			diagnostics = append(diagnostics, found...)
			result[block.Type] = content
		case "variable", "locals":
		default:
			diagnostics = append(diagnostics, problem("Unknown block", block.Type, block.TypeRange.Ptr())...)
		}
	}
	return result, diagnostics
}

// -- variables ------------------------------------------------------------------------------------
func readVariables(blocks hclsyntax.Blocks, given map[string]string) (map[string]cty.Value, hcl.Diagnostics) {
	var diagnostics hcl.Diagnostics
	variables := map[string]cty.Value{}
	for _, block := range blocks {
		if block.Type == "variable" {
			name := block.Labels[0]
			text, set := given[name]
			value, found := readVariable(block, text, set)
			if !found.HasErrors() {
				found = validate(block, name, value)
			}
			variables[name] = value
			diagnostics = append(diagnostics, found...)
		}
	}
	for name := range given {
		if _, known := variables[name]; !known {
			diagnostics = append(diagnostics, problem("Undefined variable", "There is no variable "+name+".", nil)...)
		}
	}
	return variables, diagnostics
}

// As Packer does: a string is taken as it is, and anything else as an expression.
func readVariable(block *hclsyntax.Block, text string, set bool) (cty.Value, hcl.Diagnostics) {
	name, attributes := block.Labels[0], block.Body.Attributes
	if attributes["type"] == nil || attributes["description"] == nil {
		return cty.NilVal, problem("Incomplete variable", name+" needs a type and a description.", block.TypeRange.Ptr())
	}
	kind, diagnostics := typeexpr.TypeConstraint(attributes["type"].Expr)
	if diagnostics.HasErrors() {
		return cty.NilVal, diagnostics
	}
	var value cty.Value
	switch {
	case set && kind == cty.String:
		value = cty.StringVal(text)
	case set:
		expression, found := hclsyntax.ParseExpression([]byte(text), name, hcl.InitialPos)
		if found.HasErrors() {
			return cty.NilVal, found
		}
		value, diagnostics = expression.Value(nil)
	case attributes["default"] != nil:
		value, diagnostics = attributes["default"].Expr.Value(nil)
	default:
		return cty.NilVal, problem("Unset variable", name+" has no default and was not given.", block.TypeRange.Ptr())
	}
	if diagnostics.HasErrors() {
		return cty.NilVal, diagnostics
	}
	value, err := convert.Convert(value, kind)
	if err != nil {
		return cty.NilVal, problem("Invalid value for variable", name+": "+err.Error(), block.TypeRange.Ptr())
	}
	return value, nil
}

var sentence = regexp.MustCompile(`^[A-Z].*[.?]$`)

// A condition sees its own variable only, and a message is a sentence: Packer wants both.
func validate(block *hclsyntax.Block, name string, value cty.Value) hcl.Diagnostics {
	var diagnostics hcl.Diagnostics
	context := &hcl.EvalContext{Functions: functions, Variables: map[string]cty.Value{
		"var": cty.ObjectVal(map[string]cty.Value{name: value}),
	}}
	for _, rule := range block.Body.Blocks {
		message, found := rule.Body.Attributes["error_message"].Expr.Value(nil)
		holds, more := rule.Body.Attributes["condition"].Expr.Value(context)
		diagnostics = append(append(diagnostics, found...), more...)
		if found.HasErrors() || more.HasErrors() {
			continue
		}
		if !sentence.MatchString(message.AsString()) {
			diagnostics = append(diagnostics, problem("Invalid message", message.AsString(), rule.TypeRange.Ptr())...)
		}
		if holds.False() {
			diagnostics = append(diagnostics,
				problem("Invalid value for variable", name+": "+message.AsString(), block.TypeRange.Ptr())...)
		}
	}
	return diagnostics
}

// -- what is made of them -------------------------------------------------------------------------
// Locals may name each other: whatever can be known is, until nothing is left or nothing changes.
func readLocals(blocks hclsyntax.Blocks, context *hcl.EvalContext) hcl.Diagnostics {
	left := map[string]hclsyntax.Expression{}
	for _, block := range blocks {
		if block.Type == "locals" {
			for name, attribute := range block.Body.Attributes {
				left[name] = attribute.Expr
			}
		}
	}
	known := map[string]cty.Value{}
	for len(left) > 0 {
		var diagnostics hcl.Diagnostics
		before := len(left)
		for name, expression := range left {
			context.Variables["local"] = cty.ObjectVal(known)
			value, found := expression.Value(context)
			if found.HasErrors() {
				diagnostics = append(diagnostics, found...)
				continue
			}
			known[name] = value
			delete(left, name)
		}
		if len(left) == before {
			return diagnostics
		}
	}
	context.Variables["local"] = cty.ObjectVal(known)
	return nil
}

// Attributes as they are, and below "blocks" a list for each type of block; what is null is not there.
func readBody(body *hclsyntax.Body, context *hcl.EvalContext) (map[string]any, hcl.Diagnostics) {
	var diagnostics hcl.Diagnostics
	result := map[string]any{}
	for name, attribute := range body.Attributes {
		value, found := attribute.Expr.Value(context)
		diagnostics = append(diagnostics, found...)
		if !found.HasErrors() && !value.IsNull() {
			result[name] = ctyjson.SimpleJSONValue{Value: value}
		}
	}
	blocks := []any{}
	for _, block := range body.Blocks {
		contents, found := []map[string]any(nil), hcl.Diagnostics(nil)
		kind, labels := block.Type, block.Labels
		if kind == "dynamic" {
			kind, labels = block.Labels[0], nil
			contents, found = readDynamic(block, context)
		} else {
			var content map[string]any
			content, found = readBody(block.Body, context)
			contents = append(contents, content)
		}
		diagnostics = append(diagnostics, found...)
		for _, content := range contents {
			blocks = append(blocks, map[string]any{"type": kind, "labels": labels, "body": content})
		}
	}
	if len(blocks) > 0 {
		result["blocks"] = blocks
	}
	return result, diagnostics
}

func readDynamic(block *hclsyntax.Block, context *hcl.EvalContext) ([]map[string]any, hcl.Diagnostics) {
	each, diagnostics := block.Body.Attributes["for_each"].Expr.Value(context)
	if diagnostics.HasErrors() {
		return nil, diagnostics
	}
	var contents []map[string]any
	for _, value := range each.AsValueSlice() {
		inner := context.NewChild()
		inner.Variables = map[string]cty.Value{
			block.Labels[0]: cty.ObjectVal(map[string]cty.Value{"value": value}),
		}
		content, found := readBody(block.Body.Blocks[0].Body, inner)
		diagnostics = append(diagnostics, found...)
		contents = append(contents, content)
	}
	return contents, diagnostics
}
