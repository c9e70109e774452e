"""Encoders for other libraries: folders in the form that these load, each with a model card.

Which forms a kind of encoder has, its section says (`EncoderSection.exports`); a form's module has
`export(content, folder)`, which writes the files and returns Python that loads them.
"""
