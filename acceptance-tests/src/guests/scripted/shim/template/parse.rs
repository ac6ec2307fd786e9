//! Text to the nodes of a template.

use serde_json::Value;

#[derive(Debug)]
pub(super) enum Node {
    Text(String),
    Print(Expr),
    Set(String, Expr),
    If(Vec<(Expr, Vec<Node>)>, Vec<Node>),
    Range {
        names: Vec<String>,
        over: Expr,
        body: Vec<Node>,
        otherwise: Vec<Node>,
    },
}

#[derive(Debug)]
pub(super) enum Expr {
    Literal(Value),
    /// Fields of dot, of `$` (an empty name), or of a variable.
    Path(Option<String>, Vec<String>),
    /// Fields of a value in parentheses.
    Of(Box<Expr>, Vec<String>),
    Call(String, Vec<Expr>),
}

enum Piece {
    Text(String),
    Action(String),
}

pub(super) fn parse(template: &str) -> Result<Vec<Node>, String> {
    let mut pieces = split(template)?.into_iter().collect();
    let (nodes, end) = block(&mut pieces)?;
    match end {
        None => Ok(nodes),
        Some(end) => Err(format!("unexpected {{{{{end}}}}}")),
    }
}

fn split(template: &str) -> Result<std::collections::VecDeque<Piece>, String> {
    let mut pieces = std::collections::VecDeque::new();
    let mut rest = template;
    let mut trim = false;
    while let Some(start) = rest.find("{{") {
        let mut text = &rest[..start];
        let end = rest[start..].find("}}").ok_or("unclosed action")?;
        let mut action = &rest[start + 2..start + end];
        rest = &rest[start + end + 2..];
        if trim {
            text = text.trim_start();
        }
        if let Some(inner) = action.strip_prefix("- ") {
            text = text.trim_end();
            action = inner;
        }
        trim = action.ends_with(" -");
        action = action.strip_suffix(" -").unwrap_or(action);
        pieces.push_back(Piece::Text(text.to_owned()));
        pieces.push_back(Piece::Action(action.trim().to_owned()));
    }
    let text = if trim { rest.trim_start() } else { rest };
    pieces.push_back(Piece::Text(text.to_owned()));
    Ok(pieces)
}

/// Nodes up to `end`, `else` or the end of the text.
fn block(
    pieces: &mut std::collections::VecDeque<Piece>,
) -> Result<(Vec<Node>, Option<String>), String> {
    let mut nodes = Vec::new();
    while let Some(piece) = pieces.pop_front() {
        let action = match piece {
            Piece::Text(text) => {
                nodes.push(Node::Text(text));
                continue;
            }
            Piece::Action(action) => action,
        };
        let (word, rest) = action.split_once(' ').unwrap_or((&action, ""));
        match word {
            "end" | "else" => return Ok((nodes, Some(action))),
            "if" => {
                let mut arms = Vec::new();
                let mut condition = pipe(rest)?;
                let otherwise = loop {
                    let (body, end) = block(pieces)?;
                    arms.push((condition, body));
                    match end.as_deref() {
                        Some("else") => break block(pieces)?.0,
                        Some("end") => break Vec::new(),
                        Some(other) => {
                            condition = pipe(
                                other
                                    .trim_start_matches("else")
                                    .trim()
                                    .trim_start_matches("if"),
                            )?;
                        }
                        None => return Err("unexpected EOF".to_owned()),
                    }
                };
                nodes.push(Node::If(arms, otherwise));
            }
            "range" => {
                let (names, over) = match rest.split_once(":=") {
                    Some((names, over)) => (
                        names
                            .split(',')
                            .map(|name| name.trim().trim_start_matches('$').to_owned())
                            .collect(),
                        over,
                    ),
                    None => (Vec::new(), rest),
                };
                let over = pipe(over)?;
                let (body, end) = block(pieces)?;
                let otherwise = match end.as_deref() {
                    Some("else") => block(pieces)?.0,
                    Some("end") => Vec::new(),
                    _ => return Err("unexpected EOF".to_owned()),
                };
                nodes.push(Node::Range {
                    names,
                    over,
                    body,
                    otherwise,
                });
            }
            _ => match action.split_once(":=") {
                Some((name, value)) if action.starts_with('$') => {
                    nodes.push(Node::Set(
                        name.trim().trim_start_matches('$').to_owned(),
                        pipe(value)?,
                    ));
                }
                _ => nodes.push(Node::Print(pipe(&action)?)),
            },
        }
    }
    Ok((nodes, None))
}

/// Commands joined by `|`; each value is the last argument of the next.
fn pipe(text: &str) -> Result<Expr, String> {
    let mut tokens = tokens(text)?;
    tokens.reverse();
    let expr = command(&mut tokens, None)?;
    match tokens.pop() {
        None => Ok(expr),
        Some(token) => Err(format!("unexpected {token:?} in command")),
    }
}

fn command(tokens: &mut Vec<String>, piped: Option<Expr>) -> Result<Expr, String> {
    let mut words = Vec::new();
    let mut name = None;
    while let Some(token) = tokens.pop() {
        match token.as_str() {
            ")" => {
                tokens.push(token);
                break;
            }
            "|" => {
                let value = finish(name, words, piped)?;
                return command(tokens, Some(value));
            }
            "(" => {
                let inner = command(tokens, None)?;
                tokens
                    .pop()
                    .filter(|token| token == ")")
                    .ok_or("unclosed left paren")?;
                let fields = tokens
                    .last()
                    .filter(|token| token.starts_with('.') && token.len() > 1)
                    .cloned();
                words.push(match fields {
                    Some(fields) => {
                        tokens.pop();
                        Expr::Of(Box::new(inner), path(&fields))
                    }
                    None => inner,
                });
            }
            _ if name.is_none() && words.is_empty() && is_function(&token, tokens) => {
                name = Some(token);
            }
            _ => words.push(operand(&token)?),
        }
    }
    finish(name, words, piped)
}

fn finish(name: Option<String>, mut words: Vec<Expr>, piped: Option<Expr>) -> Result<Expr, String> {
    words.extend(piped);
    match name {
        Some(name) => Ok(Expr::Call(name, words)),
        None if words.len() == 1 => words
            .pop()
            .ok_or_else(|| "missing value for command".to_owned()),
        None => Err("missing value for command".to_owned()),
    }
}

/// A word, or the one method that rows have, followed by its argument.
fn is_function(token: &str, rest: &[String]) -> bool {
    token == ".Label" && rest.last().is_some_and(|next| next.starts_with('"'))
        || token.starts_with(|c: char| c.is_ascii_alphabetic())
            && !["true", "false", "nil"].contains(&token)
}

fn operand(token: &str) -> Result<Expr, String> {
    if let Some(rest) = token.strip_prefix('$') {
        let (name, fields) = rest.split_at(rest.find('.').unwrap_or(rest.len()));
        return Ok(Expr::Path(Some(name.to_owned()), path(fields)));
    }
    if token.starts_with('.') {
        return Ok(Expr::Path(None, path(token)));
    }
    if let Some(raw) = token.strip_prefix('`') {
        return Ok(Expr::Literal(raw.trim_end_matches('`').into()));
    }
    match token {
        "nil" => Ok(Expr::Literal(Value::Null)),
        _ => serde_json::from_str(token)
            .map(Expr::Literal)
            .map_err(|_| format!("function {token:?} not defined")),
    }
}

fn path(text: &str) -> Vec<String> {
    text.split('.')
        .filter(|part| !part.is_empty())
        .map(str::to_owned)
        .collect()
}

fn tokens(text: &str) -> Result<Vec<String>, String> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '(' | ')' | '|' => 1,
            '"' | '`' => {
                let inner = &rest[1..];
                let mut escaped = false;
                let end = inner.find(|c| {
                    let ends = c == first && !escaped;
                    escaped = c == '\\' && !escaped;
                    ends
                });
                end.ok_or("unterminated quoted string")? + 2
            }
            _ => rest
                .find(|c: char| c.is_whitespace() || "()|".contains(c))
                .unwrap_or(rest.len()),
        };
        tokens.push(rest[..length].to_owned());
        rest = rest[length..].trim_start();
    }
    Ok(tokens)
}
