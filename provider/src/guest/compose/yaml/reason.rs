//! Why the YAML parser stopped, in words that a practitioner can use.
//!
//! Does not name rare kinds one by one; they read as "not valid YAML".

use granit_parser::ErrorKind;

pub(super) fn words(kind: &ErrorKind) -> String {
    use ErrorKind as E;
    let words = match kind {
        E::UnexpectedEofFlowSequence | E::UnclosedFlowCollection { open: '[' } => {
            "this list has no closing `]`"
        }
        E::UnexpectedEofFlowMapping
        | E::UnexpectedEofImplicitFlowMapping
        | E::UnclosedFlowCollection { .. } => "this map has no closing `}`",
        E::UnexpectedEof | E::UnexpectedEofBlockSequence | E::UnexpectedEofBlockMapping => {
            "the text ends in the middle of a value"
        }
        E::UnknownAnchor => "this alias has no anchor before it",
        E::ExpectedBlockMappingKey => {
            "expected a key here; is the line indented like its neighbours and does it have a `:`?"
        }
        E::ExpectedBlockSequenceEntry => "expected `- ` here, or less indentation",
        E::ExpectedFlowMappingSeparator => "expected `,` or `}` here",
        E::ExpectedFlowSequenceSeparator => "expected `,` or `]` here",
        E::MisplacedFlowCollectionEnd | E::MismatchedFlowCollectionEnd { .. } => {
            "this closing bracket has no partner"
        }
        E::SimpleKeyExpected => "expected `:` after this key",
        E::InvalidSimpleKey | E::MappingValueNotAllowed => {
            "a `: ` is not expected here; a value that holds one must be in quotes"
        }
        E::InvalidIndentation => "the indentation fits no line above",
        E::TabNotAllowed
        | E::TabInBlockIndentation
        | E::TabInIndentation
        | E::TabAtBlockScalarStart => "a tab indents here; YAML takes spaces only",
        E::BlockEntryInFlowCollection | E::BlockSequenceEntryNotAllowed => {
            "a list item may not begin here"
        }
        E::UnclosedQuotedScalar => "this quoted text has no closing quote",
        E::InvalidTrailingSingleQuotedScalar | E::InvalidTrailingDoubleQuotedScalar => {
            "text follows the closing quote"
        }
        E::InvalidQuotedScalarIndent => "quoted text over several lines must stay indented",
        E::UnknownQuotedScalarEscape => "unknown escape after `\\` in double quotes",
        E::RecursionLimitExceeded => "nested too deep",
        E::CommentNotSeparated => "a comment needs a space before `#`",
        E::UndeclaredTagHandle => "this tag's handle is not declared",
        E::MissingAnchorOrAliasName => {
            "`&` and `*` need a name after them; quote the value if it is text"
        }
        E::UnexpectedCharacter { character } => {
            return format!("`{character}` may not begin a value; put the value in quotes");
        }
        E::BomInsideDocument => "a byte order mark stands in the middle of the text",
        _ => return format!("not valid YAML ({kind:?})"),
    };
    words.to_owned()
}
