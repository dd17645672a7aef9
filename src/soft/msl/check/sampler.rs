//! Samplers in the source (MSL 2.10): options, each an expression, become a constant.

use super::Checker;
use crate::soft::ir::{Sampler, Scalar};
use crate::soft::msl::ast::{self, BaseType, Label};
use crate::soft::msl::hir::{Constant, Expr, ExprKind};
use crate::soft::msl::source::Span;
use crate::soft::msl::types::{Qual, Ty, Types};

impl Checker {
    /// `sampler s(coord::pixel, filter::linear, lod_clamp(0, 4))`
    pub(super) fn sampler_value<'a>(
        &mut self,
        options: impl IntoIterator<Item = &'a ast::Expr>,
        span: Span,
    ) -> Expr {
        let mut sampler = Sampler::default();
        for option in options {
            if self.sampler_option(&mut sampler, option).is_none() {
                self.error(option.span, "expected an option of a sampler");
                return self.error_expr(span);
            }
        }
        let ty = self.types.intern(Ty::Sampler);
        self.value(ExprKind::Constant(Constant::Int(sampler.0)), ty, span)
    }

    fn sampler_option(&mut self, sampler: &mut Sampler, option: &ast::Expr) -> Option<()> {
        let name = |checker: &Self, path: &ast::Path, back: usize| {
            let part = &path.parts[path.parts.len().checked_sub(back)?];
            let Label::Name(name) = part.name else { return None };
            Some(checker.text(name))
        };
        let (path, arguments) = match &option.kind {
            ast::ExprKind::Path(path) => {
                let (option, choice) = (name(self, path, 2)?, name(self, path, 1)?);
                return sampler.set(&option, &choice);
            }
            ast::ExprKind::Call(callee, arguments) => match &callee.kind {
                ast::ExprKind::Path(path) => (path, arguments),
                _ => return None,
            },
            ast::ExprKind::Construct { target, arguments, .. } => match &target.specifiers.base {
                BaseType::Named(path) => (path, arguments),
                _ => return None,
            },
            _ => return None,
        };
        let mut numbers = Vec::new();
        for argument in arguments {
            let value = self.expr(argument);
            let value = self.implicit(value, Qual::plain(Types::scalar(Scalar::F32)), "initialize");
            numbers.push(match self.evaluate(&value).ok()? {
                Constant::Float(value) => value as f32,
                Constant::Int(value) => value as i64 as f32,
            });
        }
        match (name(self, path, 1)?.as_str(), &numbers[..]) {
            ("lod_clamp", &[least, most]) => sampler.set_lod_clamp(least, most),
            ("bias", &[bias]) => sampler.set_bias(bias),
            // Ignored: compute kernels have no derivatives.
            ("max_anisotropy", &[_]) => {}
            _ => return None,
        }
        Some(())
    }
}
