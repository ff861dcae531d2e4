//! What a query of Prometheus asks for: metrics with their matchers, and the labels that it groups by.
//!
//! This knows words, braces and strings and no more of the language. Whether a query is sound Prometheus' own tools say;
//! they do not know which metrics and labels there are.

use std::iter::Peekable;
use std::vec::IntoIter;

/// Words behind which labels stand in parentheses.
const GROUPING: [&str; 6] = ["by", "without", "on", "ignoring", "group_left", "group_right"];
/// Words that are neither metrics nor functions.
const KEYWORDS: [&str; 8] = ["and", "or", "unless", "offset", "bool", "Inf", "inf", "NaN"];

/// What is asked for.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Query {
    pub(crate) selectors: Vec<Selector>,
    /// Labels named by `by`, `on` and their like.
    pub(crate) grouping: Vec<String>,
}

/// A metric and which of its series.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Selector {
    pub(crate) metric: String,
    pub(crate) matchers: Vec<Matcher>,
}

/// `label="value"`, or with another operator.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Matcher {
    pub(crate) label: String,
    pub(crate) operator: String,
    pub(crate) value: String,
}

#[derive(Debug, PartialEq, Eq)]
enum Token {
    Word(String),
    Text(String),
    Sign(char),
}

impl Query {
    /// Reads an expression, in which variables of a dashboard may stand.
    pub(crate) fn read(expression: &str) -> Self {
        let mut tokens = tokens(expression).into_iter().peekable();
        let mut query = Self::default();
        while let Some(token) = tokens.next() {
            let Token::Word(word) = token else { continue };
            let is_number = word.starts_with(|first: char| first.is_ascii_digit() || first == '$');
            if GROUPING.contains(&word.as_str()) {
                query
                    .grouping
                    .extend(inside(&mut tokens, '(', ')').into_iter().filter_map(word_of));
            } else if !is_number && !KEYWORDS.contains(&word.as_str()) && !is_applied(&mut tokens) {
                let matchers = matchers(&inside(&mut tokens, '{', '}'));
                query.selectors.push(Selector { metric: word, matchers });
            }
        }
        query
    }
}

/// Whether the word before is a function or an aggregation.
fn is_applied(tokens: &mut Peekable<IntoIter<Token>>) -> bool {
    match tokens.peek() {
        Some(Token::Sign(sign)) => *sign == '(',
        Some(Token::Word(word)) => word == "by" || word == "without",
        Some(Token::Text(_)) | None => false,
    }
}

/// What stands between two signs, if the first comes next.
fn inside(tokens: &mut Peekable<IntoIter<Token>>, open: char, close: char) -> Vec<Token> {
    if tokens.peek() != Some(&Token::Sign(open)) {
        return Vec::new();
    }
    tokens.next();
    tokens.by_ref().take_while(|token| *token != Token::Sign(close)).collect()
}

fn matchers(tokens: &[Token]) -> Vec<Matcher> {
    let parts = tokens.split(|token| *token == Token::Sign(','));
    let matchers = parts.filter_map(|part| {
        let [Token::Word(label), signs @ .., Token::Text(value)] = part else { return None };
        let operator = signs.iter().filter_map(|token| match token {
            Token::Sign(sign) => Some(*sign),
            Token::Word(_) | Token::Text(_) => None,
        });
        let (label, value) = (label.clone(), value.clone());
        Some(Matcher { label, operator: operator.collect(), value })
    });
    matchers.collect()
}

fn word_of(token: Token) -> Option<String> {
    match token {
        Token::Word(word) => Some(word),
        Token::Text(_) | Token::Sign(_) => None,
    }
}

/// Ranges are left out.
fn tokens(expression: &str) -> Vec<Token> {
    let is_word =
        |letter: &char| letter.is_alphanumeric() || matches!(letter, '_' | ':' | '.' | '$');
    let mut letters = expression.chars().peekable();
    let mut tokens = Vec::new();
    while let Some(&letter) = letters.peek() {
        if is_word(&letter) {
            let mut word = String::new();
            while let Some(next) = letters.next_if(is_word) {
                word.push(next);
            }
            tokens.push(Token::Word(word));
            continue;
        }
        letters.next();
        match letter {
            '"' => {
                let text = letters.by_ref().take_while(|next| *next != '"');
                tokens.push(Token::Text(text.collect()));
            }
            '[' => letters.by_ref().take_while(|next| *next != ']').for_each(drop),
            space if space.is_whitespace() => {}
            sign => tokens.push(Token::Sign(sign)),
        }
    }
    tokens
}

#[test]
fn metrics_are_told_from_functions_and_labels_from_both() {
    let query = Query::read(
        "histogram_quantile(0.99, sum by (le, source) (rate(a_bucket{b=\"c|d\", e=~\"[f]{2},\"}[$__rate_interval])))
         / on (g) h:i:j offset 1h > 1e3 or vector(0) unless max(k) == 0",
    );
    let matcher = |label: &str, operator: &str, value: &str| Matcher {
        label: label.to_owned(),
        operator: operator.to_owned(),
        value: value.to_owned(),
    };
    let selector = |metric: &str| Selector { metric: metric.to_owned(), matchers: Vec::new() };
    let matchers = vec![matcher("b", "=", "c|d"), matcher("e", "=~", "[f]{2},")];
    let bucket = Selector { matchers, ..selector("a_bucket") };
    assert_eq!(query.selectors, [bucket, selector("h:i:j"), selector("k")]);
    assert_eq!(query.grouping, ["le", "source", "g"]);
}
